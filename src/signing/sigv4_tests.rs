//! The signer against the vectors that AWS publishes with its own SDKs (aws-c-auth, `aws-signing-test-suite/v4`), RFC 4231, and a
//! path with a colon.

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: Scope<'static> = Scope {
    region: "us-east-1",
    service: "service",
};
/// 2015-08-30T12:36:00Z
const TIME: i64 = 1_440_938_160_000;

fn keys(session_token: Option<&str>) -> Keys<'_> {
    Keys {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: SECRET,
        session_token,
    }
}

fn get<'a>(path: &'a str, query: &'a str, headers: &'a [(&'a str, &'a str)]) -> Signable<'a> {
    Signable {
        method: "GET",
        host: "example.amazonaws.com",
        path,
        query,
        headers,
        body: b"",
    }
}

/// The signed headers and the signature.
fn signed(request: &Signable<'_>, token: Option<&str>) -> (String, String) {
    let headers = sign(request, SCOPE, keys(token), TIME);
    let of = |name: &str| {
        let found = headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(of("x-amz-date").as_deref(), Some("20150830T123600Z"));
    assert_eq!(of("x-amz-security-token").as_deref(), token);
    let authorization = of("authorization").unwrap();
    let rest = authorization
        .strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=")
        .unwrap();
    let (names, signature) = rest.split_once(", Signature=").unwrap();
    (names.to_owned(), signature.to_owned())
}

#[test]
fn signatures_are_those_of_the_published_vectors() {
    let post = Signable {
        method: "POST",
        ..get("/", "", &[])
    };
    let unreserved = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (name, request, signature) in [
        (
            "get-vanilla",
            get("/", "", &[]),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "get-space",
            get("/example space/", "", &[]),
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        (
            "get-utf8",
            get("/ሴ", "", &[]),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "get-unreserved",
            get(unreserved, "", &[]),
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "post-vanilla",
            post,
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
    ] {
        let expected = ("host;x-amz-date".to_owned(), signature.to_owned());
        assert_eq!(signed(&request, None), expected, "{name}");
    }
}

#[test]
fn a_session_token_is_signed_with_the_rest() {
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let (names, signature) = signed(&get("/", "", &[]), Some(token));
    assert_eq!(names, "host;x-amz-date;x-amz-security-token");
    assert_eq!(
        signature,
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    );
}

#[test]
fn a_body_and_its_headers_are_signed() {
    let hash = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", "13"),
        ("x-amz-content-sha256", hash),
    ];
    let request = Signable {
        method: "POST",
        body: b"Param1=value1",
        ..get("/", "", &headers)
    };
    let (names, signature) = signed(&request, None);
    assert_eq!(
        names,
        "content-length;content-type;host;x-amz-content-sha256;x-amz-date"
    );
    assert_eq!(
        signature,
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"
    );
}

#[test]
fn a_query_is_sorted_and_not_encoded_again() {
    let request = get("/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1", &[]);
    let canonical = canonical_request(&request, &[("host", " a  b ")], "host", PathForm::Twice);
    assert_eq!(
        canonical,
        "GET\n/\n%E1%88%B4=Value1&Param=Value2&Param-3=Value3\nhost:a b\n\nhost\n\
         e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn a_colon_is_encoded_once_on_the_wire_and_twice_in_what_is_signed() {
    let id = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let path = format!("/model/{}/converse", path_segment(id));
    assert_eq!(
        path,
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    );
    let canonical = canonical_request(&get(&path, "", &[]), &[], "", PathForm::Twice);
    assert!(canonical.contains("-v1%253A0/converse\n"), "{canonical}");
    assert_eq!(path_segment("arn:aws:x/y"), "arn%3Aaws%3Ax%2Fy");
}

#[test]
fn the_code_is_that_of_the_standard() {
    // RFC 4231, test cases 2 and 6: a short key, and one longer than a block.
    for (key, message, expected) in [
        (
            b"Jefe".to_vec(),
            "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            vec![0xaa; 131],
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ] {
        assert_eq!(hex(&hmac(&key, message.as_bytes())), expected);
    }
}
