//! A file at an address that somebody else chose: public hosts only, also behind redirects, and not larger than is allowed.
//!
//! Pure: requests to send come out, answers go in. Out of scope: what the file is, and how long it may take.

use super::{
    address::{Address, Refused},
    web::{WebAnswer, WebRequest},
};

/// The most bytes of a file.
pub const MAX_FILE: usize = 20 * 1024 * 1024;
/// The most redirects that are followed.
const MAX_REDIRECTS: u32 = 5;

/// A file on its way.
#[derive(Debug, Clone)]
pub struct Download {
    address: Address,
    trusted: Vec<String>,
    redirects: u32,
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Another request.
    Send(WebRequest),
    /// The file.
    Done(Vec<u8>),
}

impl Download {
    /// Begins; `trusted` hosts may be fetched though they are not public.
    ///
    /// # Errors
    /// Why the address is not fetched.
    pub fn start(url: &str, trusted: &[String]) -> Result<(Self, WebRequest), String> {
        let address = Address::parse(url).map_err(|refused| refused.to_string())?;
        let download = Self {
            address,
            trusted: trusted.to_vec(),
            redirects: 0,
        };
        download.check(&download.address)?;
        let request = download.request();
        Ok((download, request))
    }

    fn check(&self, address: &Address) -> Result<(), String> {
        if address.is_public() || self.trusted.contains(&address.authority()) {
            return Ok(());
        }
        Err(Refused::NotPublic.to_string())
    }

    fn request(&self) -> WebRequest {
        let agent = concat!("patchbay/", env!("CARGO_PKG_VERSION"));
        WebRequest {
            url: self.address.to_string(),
            headers: vec![
                ("accept", "*/*".to_owned()),
                ("user-agent", agent.to_owned()),
            ],
            body: None,
            // One more tells a file that is too large from one that just fits.
            max_bytes: MAX_FILE + 1,
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Why there is no file.
    pub fn answered(&mut self, answer: WebAnswer) -> Result<Step, String> {
        if matches!(answer.status, 301 | 302 | 303 | 307 | 308) && !answer.location.is_empty() {
            self.redirects += 1;
            if self.redirects > MAX_REDIRECTS {
                return Err("it redirects too often".to_owned());
            }
            let next = self.address.join(&answer.location);
            let next = next.map_err(|refused| refused.to_string())?;
            self.check(&next)?;
            self.address = next;
            return Ok(Step::Send(self.request()));
        }
        if !(200..300).contains(&answer.status) {
            return Err(format!("the server answered with status {}", answer.status));
        }
        if answer.body.len() > MAX_FILE {
            return Err(format!("it is larger than {MAX_FILE} bytes"));
        }
        Ok(Step::Done(answer.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, location: &str, body: Vec<u8>) -> WebAnswer {
        WebAnswer {
            status,
            location: location.into(),
            body,
            ..WebAnswer::default()
        }
    }

    #[test]
    fn a_file_comes_over_public_redirects() {
        let (mut download, request) = Download::start("https://a.example/x.png", &[]).unwrap();
        assert_eq!(request.url, "https://a.example/x.png");
        let step = download.answered(answer(302, "https://b.example/y", vec![]));
        let Ok(Step::Send(request)) = step else {
            panic!("a redirect is followed")
        };
        assert_eq!(request.url, "https://b.example/y");
        let done = download.answered(answer(200, "", vec![1, 2]));
        assert_eq!(done, Ok(Step::Done(vec![1, 2])));
    }

    #[test]
    fn no_file_comes_from_what_is_not_public_too_large_or_gone() {
        for url in [
            "http://127.0.0.1/x",
            "http://[::1]/x",
            "http://169.254.169.254/x",
            "file:///x",
            "https://a@b.example/x",
        ] {
            assert!(Download::start(url, &[]).is_err(), "{url}");
        }
        let trusted = ["127.0.0.1:9".to_owned()];
        assert!(Download::start("http://127.0.0.1:9/x", &trusted).is_ok());
        for refused in [
            answer(302, "http://10.0.0.1/", vec![]),
            answer(404, "", vec![]),
            answer(200, "", vec![0; MAX_FILE + 1]),
        ] {
            let (mut download, _) = Download::start("https://a.example/x", &[]).unwrap();
            assert!(download.answered(refused).is_err());
        }
        let (mut download, _) = Download::start("https://a.example/x", &[]).unwrap();
        for _ in 0..MAX_REDIRECTS {
            assert!(download.answered(answer(302, "/x", vec![])).is_ok());
        }
        assert!(download.answered(answer(302, "/x", vec![])).is_err());
    }
}
