//! Documents that are made here, and what is read of them.

use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;

use super::{MAX_BYTES, MAX_INFLATED, MAX_PAGES, MAX_TEXT, Unreadable, text};

/// A document out of objects; number 1 is the catalog.
fn document(objects: &[(u32, Vec<u8>)], trailer: &str) -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
    for (id, object) in objects {
        bytes.extend(format!("{id} 0 obj\n").into_bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    bytes.extend(format!("trailer\n<</Root 1 0 R{trailer}>>\nstartxref\n0\n%%EOF").into_bytes());
    bytes
}

fn stream(dict: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<<{dict}/Length {}>>\nstream\n", bytes.len()).into_bytes();
    object.extend(bytes);
    object.extend(b"\nendstream");
    object
}

fn plain(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

const FONT: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";

/// A document of one page with these contents and this font.
fn one_page(content: Vec<u8>, font: &str) -> Vec<u8> {
    let objects = [
        (1, plain("<</Type/Catalog/Pages 2 0 R>>")),
        (
            2,
            plain("<</Type/Pages/Kids[3 0 R]/Count 1/Resources<</Font<</F1 4 0 R>>>>>>"),
        ),
        (3, plain("<</Type/Page/Parent 2 0 R/Contents 5 0 R>>")),
        (4, plain(font)),
        (5, content),
    ];
    document(&objects, "")
}

fn shown(operators: &str) -> String {
    let content = stream("", format!("BT /F1 10 Tf {operators} ET").as_bytes());
    text(&one_page(content, FONT)).unwrap().remove(0)
}

#[test]
fn operators_put_words_and_lines() {
    for (operators, expected) in [
        ("(Hello) Tj", "Hello"),
        ("(A \\(b\\) \\101\\n) Tj", "A (b) A"),
        ("<48 65 6c6C 6f> Tj", "Hello"),
        ("[(He) -20 (llo) -400 (you)] TJ", "Hello you"),
        ("(one) Tj 0 -12 Td (two) Tj", "one\ntwo"),
        ("12 TL (one) Tj T* (two) Tj (three) '", "one\ntwo\nthree"),
        ("(one) Tj 0 -40 TD (two) Tj", "one\n\ntwo"),
        (
            "1 0 0 1 10 700 Tm (left) Tj 1 0 0 1 200 700 Tm (right) Tj",
            "left right",
        ),
        ("(caf\\351 \\200 \\223x\\224) Tj", "café € “x”"),
    ] {
        assert_eq!(shown(operators), expected, "{operators}");
    }
}

#[test]
fn streams_are_unfolded() {
    let content = b"BT /F1 10 Tf (folded) Tj ET";
    let hex: String = content.iter().map(|byte| format!("{byte:02X}")).collect();
    let twice = compress_to_vec_zlib(format!("{hex}>").as_bytes(), 6);
    for (name, object) in [
        (
            "flate",
            stream("/Filter/FlateDecode", &compress_to_vec_zlib(content, 6)),
        ),
        (
            "hex",
            stream("/Filter/ASCIIHexDecode", format!("{hex}>").as_bytes()),
        ),
        (
            "two",
            stream("/Filter[/FlateDecode/ASCIIHexDecode]", &twice),
        ),
        (
            "base 85",
            stream(
                "/Filter/ASCII85Decode",
                b"<~6<$%@Bl5&(Anbn#ATMr9A0>Q$@<>pl+DGm~>",
            ),
        ),
        (
            "a length that is wrong",
            String::from_utf8(stream("", content))
                .unwrap()
                .replace("/Length 27", "/Length 9")
                .into_bytes(),
        ),
    ] {
        let read = text(&one_page(object, FONT));
        if name == "base 85" {
            // Any text will do: what counts is that it is bytes again.
            assert!(read.is_ok() || read == Err(Unreadable::NoText), "{name}");
        } else {
            assert_eq!(read.unwrap(), ["folded"], "{name}");
        }
    }
}

#[test]
fn characters_are_those_of_the_font() {
    let map = "/CIDInit /ProcSet findresource begin 1 begincodespacerange <0000> <FFFF> endcodespacerange\n\
        2 beginbfchar <0001> <0416> <0002> <D83DDE00> endbfchar\n\
        2 beginbfrange <0010> <0012> <0061> <0020> <0021> [<0031> <00660069>] endbfrange endcmap";
    let wide = |show: &str| {
        let objects = [
            (1, plain("<</Type/Catalog/Pages 2 0 R>>")),
            (2, plain("<</Type/Pages/Kids[3 0 R]>>")),
            (
                3,
                plain("<</Type/Page/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>>>>>"),
            ),
            (
                4,
                plain(
                    "<</Type/Font/Subtype/Type0/Encoding/Identity-H/DescendantFonts[7 0 R]/ToUnicode 6 0 R>>",
                ),
            ),
            (
                5,
                stream("", format!("BT /F1 10 Tf {show} Tj ET").as_bytes()),
            ),
            (
                6,
                stream(
                    "/Filter/FlateDecode",
                    &compress_to_vec_zlib(map.as_bytes(), 6),
                ),
            ),
            (
                7,
                plain("<</Type/Font/Subtype/CIDFontType2/DW 600/W[1[500 700] 16 18 400]>>"),
            ),
        ];
        text(&document(&objects, "")).unwrap().remove(0)
    };
    assert_eq!(wide("<00010002001000110012>"), "Ж😀abc");
    assert_eq!(wide("<00200021>"), "1fi");
    let differing = "<</Type/Font/Subtype/Type1/Encoding<</Differences[65/germandbls/uni0416/Zcaron/fi/a]>>/FirstChar 65/Widths[500 500 500 500 500]>>";
    let content = stream("", b"BT /F1 10 Tf (ABCDE) Tj ET");
    assert_eq!(text(&one_page(content, differing)).unwrap(), ["ßЖŽﬁa"]);
    let mac = FONT.replace("WinAnsi", "MacRoman");
    let content = stream("", b"BT /F1 10 Tf (\\212) Tj ET");
    assert_eq!(text(&one_page(content, &mac)).unwrap(), ["ä"]);
}

#[test]
fn pages_come_in_the_order_of_their_tree_and_inherit() {
    let page = |id: u32| plain(&format!("<</Type/Page/Contents {id} 0 R>>"));
    let says = |word: &str| stream("", format!("BT /F1 9 Tf ({word}) Tj ET").as_bytes());
    let objects = [
        (1, plain("<</Type/Catalog/Pages 2 0 R>>")),
        (
            2,
            plain(
                "<</Type/Pages/Kids[8 0 R 3 0 R 2 0 R]/Resources<</Font<</F1 9 0 R>>/XObject<</X 10 0 R>>>>>>",
            ),
        ),
        (3, page(4)),
        (4, says("last")),
        (5, page(6)),
        (6, stream("", b"BT /F1 9 Tf (first) Tj ET /X Do")),
        (8, plain("<</Type/Pages/Kids[5 0 R]>>")),
        (9, plain(FONT)),
        (
            10,
            stream(
                "/Subtype/Form/Matrix[1 0 0 1 0 -30]",
                b"BT /F1 9 Tf (form) Tj ET /X Do",
            ),
        ),
    ];
    let pages = text(&document(&objects, "")).unwrap();
    assert_eq!(pages.len(), 2);
    assert!(pages[0].starts_with("first\n\nform"), "{:?}", pages[0]);
    assert_eq!(pages[1], "last");
}

/// A document whose objects are folded into a stream, with a table that is a stream too.
fn modern(extra: &str) -> Vec<u8> {
    let inner = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]>>".to_owned(),
        "<</Type/Page/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>>>>>".to_owned(),
        FONT.to_owned(),
    ];
    let (mut head, mut body) = (String::new(), String::new());
    for (at, object) in inner.iter().enumerate() {
        head.push_str(&format!("{} {} ", at + 1, body.len()));
        body.push_str(object);
        body.push(' ');
    }
    let folded = compress_to_vec_zlib(format!("{head}{body}").as_bytes(), 6);
    let dict = format!("/Type/ObjStm/N 4/First {}/Filter/FlateDecode", head.len());
    // The rows of the table with the predictor "up".
    let rows = [[2_u8, 1, 0, 0, 9], [2, 0, 0, 0, 9]].concat();
    let table = format!(
        "/Type/XRef/Root 1 0 R/W[1 2 1]/Size 9/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 4>>{extra}"
    );
    let mut bytes = b"%PDF-1.7\n".to_vec();
    for (id, object) in [
        (5, stream("", b"BT /F1 9 Tf (modern) Tj ET")),
        (6, stream(&dict, &folded)),
        (7, stream(&table, &compress_to_vec_zlib(&rows, 6))),
    ] {
        bytes.extend(format!("{id} 0 obj\n").into_bytes());
        bytes.extend(object);
        bytes.extend(b"\nendobj\n");
    }
    bytes
}

#[test]
fn objects_may_be_folded_into_streams() {
    assert_eq!(text(&modern("")).unwrap(), ["modern"]);
}

#[test]
fn a_later_version_of_an_object_counts() {
    let mut bytes = one_page(stream("", b"BT /F1 9 Tf (old) Tj ET"), FONT);
    bytes.extend(b"\n5 0 obj\n");
    bytes.extend(stream("", b"BT /F1 9 Tf (new) Tj ET"));
    bytes.extend(b"\nendobj\n");
    assert_eq!(text(&bytes).unwrap(), ["new"]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let content = || stream("", b"BT /F1 9 Tf (x) Tj ET");
    let encrypted = document(&[(1, plain("<</Type/Catalog>>"))], "/Encrypt 9 0 R");
    let picture = one_page(
        stream("", b"q 100 0 0 100 0 0 cm /Im1 Do BI /W 1 ID \x00\x01 EI Q"),
        FONT,
    );
    for (name, bytes, why) in [
        ("nothing", Vec::new(), Unreadable::NotPdf),
        ("a page of the web", plain("<html>"), Unreadable::NotPdf),
        ("encrypted", encrypted, Unreadable::Encrypted),
        (
            "encrypted, new form",
            modern("/Encrypt 9 0 R"),
            Unreadable::Encrypted,
        ),
        (
            "no pages",
            document(&[(1, plain("<</Type/Catalog>>"))], ""),
            Unreadable::NoPages,
        ),
        ("a picture", picture, Unreadable::NoText),
    ] {
        assert_eq!(text(&bytes), Err(why), "{name}");
    }
    assert!(text(&one_page(content(), FONT)).is_ok());
}

#[test]
fn each_limit_has_its_error() {
    let mut large = one_page(stream("", b"BT /F1 9 Tf (x) Tj ET"), FONT);
    large.resize(MAX_BYTES + 1, b' ');
    assert_eq!(text(&large), Err(Unreadable::TooLarge));

    let kids = "3 0 R ".to_owned()
        + &(10..10 + MAX_PAGES)
            .map(|id| format!("{id} 0 R "))
            .collect::<String>();
    let mut objects = vec![
        (1, plain("<</Type/Catalog/Pages 2 0 R>>")),
        (2, plain(&format!("<</Type/Pages/Kids[{kids}]>>"))),
        (3, plain("<</Type/Page>>")),
    ];
    objects.extend(
        (10..)
            .take(MAX_PAGES)
            .map(|id| (id, plain("<</Type/Page>>"))),
    );
    assert_eq!(text(&document(&objects, "")), Err(Unreadable::TooManyPages));

    let bomb = compress_to_vec_zlib(&vec![b' '; MAX_INFLATED + 1], 1);
    assert!(bomb.len() < MAX_BYTES);
    let bomb = one_page(stream("/Filter/FlateDecode", &bomb), FONT);
    assert_eq!(text(&bomb), Err(Unreadable::TooMuch));

    let words = format!(
        "BT /F1 9 Tf {} ET",
        "(0123456789012345678901234567890123456789) Tj ".repeat(MAX_TEXT / 40 + 1)
    );
    let words = compress_to_vec_zlib(words.as_bytes(), 1);
    let words = one_page(stream("/Filter/FlateDecode", &words), FONT);
    assert_eq!(text(&words), Err(Unreadable::TooMuch));
}

proptest! {
    #[test]
    fn a_damaged_document_is_read_or_refused(changes in prop::collection::vec((0..2_000usize, any::<u8>()), 1..20), folded: bool) {
        let mut bytes = if folded {
            modern("")
        } else {
            one_page(stream("", b"BT /F1 10 Tf [(He) -400 (llo)] TJ T* <41> Tj ET"), FONT)
        };
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let _ = text(&bytes);
    }
}
