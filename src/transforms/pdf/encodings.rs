//! What the codes and glyph names of simple fonts mean.

/// Windows code page 1252 from 0x80 to 0x9f; a space stands for nothing.
const WINDOWS: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";
/// Mac OS Roman from 0x80 on.
const MAC: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// Names of the punctuation of ASCII, and of the characters of Latin-1 from 0xa1 on, with their characters.
const NAMES: &str = "space=  exclam=! quotedbl=\" numbersign=# dollar=$ percent=% ampersand=& quotesingle=' parenleft=( parenright=) asterisk=* plus=+ comma=, hyphen=- period=. slash=/ zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 colon=: semicolon=; less=< equal== greater=> question=? at=@ bracketleft=[ backslash=\\ bracketright=] asciicircum=^ underscore=_ grave=` braceleft={ bar=| braceright=} asciitilde=~ exclamdown=¡ cent=¢ sterling=£ currency=¤ yen=¥ brokenbar=¦ section=§ dieresis=¨ copyright=© ordfeminine=ª guillemotleft=« logicalnot=¬ registered=® macron=¯ degree=° plusminus=± twosuperior=² threesuperior=³ acute=´ mu=µ paragraph=¶ periodcentered=· cedilla=¸ onesuperior=¹ ordmasculine=º guillemotright=» onequarter=¼ onehalf=½ threequarters=¾ questiondown=¿ multiply=× divide=÷ AE=Æ ae=æ Eth=Ð eth=ð Oslash=Ø oslash=ø Thorn=Þ thorn=þ germandbls=ß dotlessi=ı OE=Œ oe=œ Lslash=Ł lslash=ł florin=ƒ circumflex=ˆ tilde=˜ breve=˘ dotaccent=˙ ring=˚ ogonek=˛ caron=ˇ hungarumlaut=˝ endash=– emdash=— quoteleft=‘ quoteright=’ quotesinglbase=‚ quotedblleft=“ quotedblright=” quotedblbase=„ dagger=† daggerdbl=‡ bullet=• ellipsis=… perthousand=‰ guilsinglleft=‹ guilsinglright=› Euro=€ trademark=™ minus=− fraction=⁄ fi=ﬁ fl=ﬂ ff=ﬀ ffi=ﬃ ffl=ﬄ notequal=≠ lessequal=≤ greaterequal=≥ infinity=∞ summation=∑ product=∏ radical=√ integral=∫ partialdiff=∂ approxequal=≈ Delta=∆ Omega=Ω pi=π lozenge=◊ nbspace=\u{a0} sfthyphen=\u{ad}";

/// Accents at the end of glyph names, and the letters that have them, each before its accented form.
const ACCENTS: [(&str, &str); 8] = [
    ("acute", "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzź"),
    ("grave", "AÀEÈIÌOÒUÙaàeèiìoòuù"),
    ("circumflex", "AÂEÊIÎOÔUÛaâeêiîoôuû"),
    ("dieresis", "AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ"),
    ("tilde", "AÃNÑOÕaãnñoõ"),
    ("ring", "AÅUŮaåuů"),
    ("caron", "CČDĎEĚNŇRŘSŠTŤZŽcčdďeěnňrřsštťzž"),
    ("cedilla", "CÇcçSŞsş"),
];

/// A code of Windows code page 1252.
pub(super) fn win_ansi(code: u8) -> Option<char> {
    match code {
        0..=31 => None,
        0x80..=0x9f => WINDOWS
            .chars()
            .nth(usize::from(code - 0x80))
            .filter(|c| *c != ' '),
        code => Some(char::from(code)),
    }
}

/// A code of Mac OS Roman.
pub(super) fn mac_roman(code: u8) -> Option<char> {
    match code {
        0..=31 => None,
        0x80.. => MAC.chars().nth(usize::from(code - 0x80)),
        code => Some(char::from(code)),
    }
}

/// What a glyph's name means: <https://github.com/adobe-type-tools/agl-specification>.
pub(super) fn glyph(name: &str) -> Option<char> {
    // `A.small` is an A.
    let name = name.split('.').next().unwrap_or(name);
    let mut letters = name.chars();
    if let (Some(only), None) = (letters.next(), letters.next()) {
        return Some(only);
    }
    let code = name.strip_prefix("uni").or(name.strip_prefix('u'));
    if let Some(code) = code
        && code.len() >= 4
        && let Ok(code) = u32::from_str_radix(code, 16)
    {
        return char::from_u32(code);
    }
    if name == "space" {
        return Some(' ');
    }
    let known = NAMES.split(' ').filter_map(|pair| pair.split_once('='));
    if let Some((_, text)) = known.into_iter().find(|(known, _)| *known == name) {
        return text.chars().next();
    }
    let (accent, letters) = ACCENTS.iter().find(|(accent, _)| name.ends_with(accent))?;
    let letter = name
        .strip_suffix(accent)
        .filter(|letter| letter.len() == 1)?;
    let mut letters = letters.chars();
    letters.find(|one| letter.starts_with(*one))?;
    letters.next()
}
