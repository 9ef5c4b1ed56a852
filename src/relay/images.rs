//! Images that a provider keeps at an address: fetched for the client, who asked for the images themselves.
//!
//! The address is the provider's word, so it is treated as a model's would be: public hosts only (`server_tools::Download`), within a
//! limit of size and time. An image that cannot be had is left out and not charged; an answer of which none can be had has failed.

use std::rc::Rc;

use futures::future::join_all;

use super::{flow::unusable, ports::Platform, tools::ask};
use crate::{
    error::Result,
    operations::images::Image,
    server_tools::{Download, Step},
};

/// Fetches those that are addresses, side by side.
pub(super) async fn bring<P: Platform>(
    platform: P,
    trusted: Rc<[String]>,
    images: Vec<Image>,
) -> Result<Vec<Image>> {
    let brought = images
        .into_iter()
        .map(|image| one(&platform, &trusted, image));
    let mut found = Vec::new();
    let mut why = String::new();
    for image in join_all(brought).await {
        match image {
            Ok(image) => found.push(image),
            Err(told) => why = told,
        }
    }
    if found.is_empty() {
        return Err(unusable(format!(
            "The image that the provider made could not be fetched: {why}"
        )));
    }
    Ok(found)
}

async fn one<P: Platform>(platform: &P, trusted: &[String], image: Image) -> Result<Image, String> {
    let Image::Address(url) = image else {
        return Ok(image);
    };
    let (mut download, mut request) = Download::start(&url, trusted)?;
    loop {
        let answer = ask(platform, request).await?;
        match download.answered(answer)? {
            Step::Send(next) => request = next,
            Step::Done(bytes) => {
                let image = Image::of_bytes(&bytes);
                return image.ok_or_else(|| "it is no image".to_owned());
            }
        }
    }
}
