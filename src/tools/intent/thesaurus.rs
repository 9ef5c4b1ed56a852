//! Words that people use for the same kind of thing: a request for *exercises* may mean a tool that offers *workouts*.
//!
//! One line per kind. A word may stand in several; a kind counts less than the word itself (`index`). Written by hand for the things that
//! tools are about; whether it helps was decided on the tuning part of the data, never on the test part.

use std::collections::HashMap;

use super::text::{hash, stem};

/// One kind of thing per line.
pub const KINDS: &str = "
abroad travel trip vacation holiday tour tourist tourism journey itinerary destination sightseeing attraction landmark visit
accommodation hotel hostel lodging resort motel airbnb stay room accommodate bed breakfast apartment villa
ad advertisement advertise advertising campaign marketing promote promotion ppc banner audience target google attention
address geocode location place coordinate latitude longitude map gps navigation direction route nearby distance area local near neighborhood region
airline airport flight plane aviation pilot aircraft fly boarding departure arrival layover
alert notify notification reminder remind
amount calculate calculator calculation compute formula equation math mathematics arithmetic algebra
animal pet dog cat puppy kitten bird wildlife fish horse breed
apparel clothes clothing fashion outfit dress shirt hoodie shoe wear sneaker jacket tshirt jean skirt suit style stylish design personalized custom print
appointment calendar schedule meeting event agenda booking availability
art artwork painting paint drawing draw sketch museum gallery artist illustration portrait sculpture masterpiece creative ascii font
article blog post publication magazine journal editorial
asset portfolio invest investment investor stock share equity market etf fund trading trade finance financial dividend ticker wallstreet nasdaq retirement hedge bond valuation
astrology horoscope zodiac tarot star sign
astronaut astronomy space planet nasa mars satellite galaxy
attorney law legal lawyer court lawsuit legislation regulation contract litigation legally statute sue visa immigration tenant
audio sound voice speech speak podcast recording narration spoken tts pronounce voiceover narrator mp3 tone
author book novel read reader literature library reading bestseller chapter bookstore publisher fiction
baby child kid toddler parent parenting children family teen daughter son age homeschool
background biography person people profile contact
band song music playlist track album lyric melody musician concert singer tune
bank loan mortgage credit debt repayment interest lender
beauty cosmetic makeup skincare skin hair sunscreen moisturizer lipstick shampoo perfume
beer wine sake drink cocktail beverage coffee tea flavor taste brewery brand
bitcoin crypto cryptocurrency ethereum blockchain nft token coin wallet defi web3 litecoin
bond grant funding fundraise charity donation scholarship community volunteer nonprofit donate
brand logo design designer visual template graphic
browse browser internet online web website webpage page site url link domain dns homepage blog snapshot
bug code coding program programming developer software github repository script debug javascript python function coder codebase html css react sql compile snippet
bus train transit transport subway metro rail commute
business company corporation firm enterprise startup organization
buy purchase shop shopping store product order ecommerce retail retailer amazon seller laptop smartphone iphone headphone gadget electronic merchandise brand price pricing budget affordable
call phone telephone sms text message whatsapp meeting zoom webex conference transcript
candidate hire hiring recruit recruiter recruitment talent freelance freelancer employer staff
car vehicle auto automobile dealer drive driving truck suv sedan used mileage fuel tesla toyota
career job employment vacancy occupation profession employer work resume cv interview
cartoon meme funny joke humor comic laugh
cash money payment pay invoice billing charge checkout refund transaction
celebrity actor actress director cast star
chart graph diagram plot visualize visualization dashboard infographic flowchart mindmap pie bar histogram plotting flow mind map cloud
chat conversation talk dialogue discussion
cinema movie film show series tv television streaming episode watch netflix blockbuster genre comedy thriller
city town country region state nation capital
class course lesson learn learning study tutor tutorial education educational school student teacher teach training curriculum university homework exam quiz lecture kindergarten math skill
climate weather temperature rain forecast humidity wind snow storm sunny
cloud server infrastructure aws azure deploy deployment hosting
clinic doctor medical medicine health hospital patient disease symptom diagnosis illness therapy covid vaccine drug pharmacy medication flu virus infection pain surgery mental
commit issue ticket task todo project backlog milestone
condo apartment house home property rent rental real estate realtor housing
convert conversion transform transcode format export
cook cooking recipe dish meal ingredient kitchen bake cuisine food pizza pasta chicken dough baking dinner lunch breakfast dessert vegetarian
copy copywriting write writing writer rewrite paraphrase rephrase draft essay polish prose proofread grammar
coupon discount deal bargain promo sale voucher saving cheap
crime police safety danger security secure vulnerability malware threat scan hack
crm lead prospect sales customer client outreach pipeline
currency exchange forex dollar euro rupee yen rate usd eur gbp jpy pair fx bid candle conversion
data dataset database sql query table record spreadsheet statistics census percentage statistic population survey
date time clock timezone hour calendar today zone deadline countdown
delivery ship shipping package parcel tracking courier
dental diet nutrition calorie food eat healthy weight vegan
dictionary definition define meaning word vocabulary synonym
digest summary summarize summarise overview condense recap highlight key points
dine dining restaurant eat cafe food reservation menu sushi pizzeria bistro vegetarian cuisine eatery takeout
disaster earthquake seismic flood hurricane tsunami volcano magnitude wildfire tornado emergency
document pdf file paper doc word slide presentation powerpoint docx scan ocr page
domain registrar registration whois
download upload file storage drive
earning revenue profit income expense budget tax accounting
email mail inbox newsletter gmail
election politics political government parliament senate vote policy politician
electricity energy solar power carbon emission climate environment pollution air quality
embed integrate integration connect api webhook automation automate workflow
exercise fitness workout gym training muscle yoga body strengthen cardio stretch abs lifting run running athlete coach
fact knowledge encyclopedia wikipedia history explain
fan follower tweet twitter instagram facebook social hashtag tiktok influencer
feedback review rating opinion survey complaint testimonial satisfaction
football soccer basketball baseball nba nfl nhl sport sports team league match score player standings game tournament fantasy hockey cricket tennis golf championship premier
friend gift present birthday anniversary
game gaming videogame play player puzzle quiz trivia chess xbox playstation rpg dungeon level nintendo pokemon card board deck magic league legend champion
garden plant flower gardening indoor houseplant
headline news article breaking current affairs journalist press politic world event update happening latest
image picture photo photograph photography snapshot screenshot camera visual illustrate illustration wallpaper resize crop edit filter
insurance policy claim coverage premium
investigate research scholar scholarly academic paper scientific science study journal arxiv publication scientist physics biology chemistry discovery literature
keyword seo ranking serp backlink traffic website blog content optimize audit
language translate translation translator english spanish french german japanese chinese speak multilingual phrase sentence fluent vocabulary italian korean
logistics warehouse inventory supply
love dating relationship romance
memory note notes remember journal diary store recall
password login authentication account
patent trademark invention intellectual
poem poetry story storytelling tale fiction narrative bedtime
prayer bible religion quran verse spiritual
prompt midjourney dalle generate
qr barcode
remote server ssh
scrape scraper crawl extract extraction
search find lookup discover explore
street traffic parking park
subscription subscribe plan pricing
subtitle transcript transcribe transcription caption
theater theatre ticket broadway concert show musical
video youtube clip film footage avatar animation watch
wedding party celebration event anniversary invitation
security antivirus virus malware phishing firewall hacker breach cyber vulnerability scan scanner threat
3d model render scene mesh
beach mountain hike hiking park trail outdoor camping surf ocean
theme park ride queue disney flag rollercoaster
company officer founder ceo shareholder registered register incorporate
competitor competition market industry benchmark trend
salary wage pay compensation income
internship applicant application hire interview resume cover letter
ad copy slogan headline tagline conversion landing
sentiment tone emotion mood
museum exhibition collection gallery metropolitan
plan planner planning organize task todo reminder habit productivity goal
diary journal reflect reflection decision
quote quotation estimate
create add insert save put register append
update change edit modify set rename move correct
delete remove erase clear destroy drop discard archive
cancel stop abort undo revert withdraw
list all every which overview browse enumerate
send deliver write forward dispatch mail
refund reimburse return
close closing trade traded
row entry record item
";

/// The kinds of each word, read once.
#[derive(Debug, Clone, Default)]
pub struct Kinds(HashMap<u32, Vec<u32>>);

impl Kinds {
    /// Reads [`KINDS`].
    pub fn read() -> Self {
        let mut kinds: HashMap<u32, Vec<u32>> = HashMap::new();
        for (number, line) in KINDS.lines().filter(|line| !line.is_empty()).enumerate() {
            let kind = hash(&["@", &number.to_string()]);
            for word in line.split_ascii_whitespace() {
                let of_word = kinds.entry(hash(&[&stem(word)])).or_default();
                if !of_word.contains(&kind) {
                    of_word.push(kind);
                }
            }
        }
        Self(kinds)
    }

    /// The kinds of things that a stem may mean.
    pub fn of(&self, stem: u32) -> &[u32] {
        self.0.get(&stem).map_or(&[], Vec::as_slice)
    }
}
