//! One page: ask for it at the host's pace, and cut out the links.

use std::sync::Arc;
use std::time::Duration;

use gort::context::Context;
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::LOCATION;

use super::HostLimits;
use crate::ureq_io;

/// The longest page that is read.
const SIZE_LIMIT: u64 = 4 << 20;

/// What has come of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// HTTP's status; 0 if there was no answer.
    pub status: u16,
    /// Bytes of the body.
    pub size: usize,
    /// Where it leads to, on the same host, in the order of the text, each once. A redirection is a page with one link.
    pub links: Vec<String>,
}

/// Fetches pages; clones share connections and paces.
#[derive(Clone, Debug)]
pub struct Fetcher {
    agent: Agent,
    limits: Arc<HostLimits>,
}

impl Fetcher {
    /// Asks each host for `per_second` pages at most, and waits `patience` for each.
    pub fn new(per_second: u32, patience: Duration) -> Fetcher {
        let config = Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0) // a redirection is a link like any other: loops end where links' loops do
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(64);
        Fetcher { agent: ureq_io::agent(config.build()), limits: Arc::new(HostLimits::new(per_second)) }
    }

    /// `None`: the context was done before the page could be asked for.
    pub fn fetch(&self, ctx: &Context, url: &str) -> Option<Page> {
        let page = Page { url: url.into(), ..Page::default() };
        let Ok(uri) = url.parse::<Uri>() else { return Some(page) };
        if !self.limits.wait(ctx, uri.host().unwrap_or_default()) {
            return None;
        }
        Some(self.ask(&uri).map_or(page, |(status, text, location)| Page {
            url: url.into(),
            status,
            size: text.len(),
            links: links(&uri, &text, location.as_deref()),
        }))
    }

    fn ask(&self, uri: &Uri) -> Result<(u16, String, Option<String>), ureq::Error> {
        let mut answer = self.agent.get(uri).call()?;
        let location =
            answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.body_mut().with_config().limit(SIZE_LIMIT).lossy_utf8(true).read_to_string()?;
        Ok((answer.status().as_u16(), body, location))
    }
}

/// The `href`s of a text, made whole, as far as they stay on the host.
fn links(base: &Uri, text: &str, location: Option<&str>) -> Vec<String> {
    let hrefs = text.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"').map(|(href, _)| href));
    let mut links = Vec::new();
    for href in location.into_iter().chain(hrefs) {
        if let Some(link) = resolve(base, href)
            && !links.contains(&link)
        {
            links.push(link);
        }
    }
    links
}

/// `None` if it leads elsewhere. Knows absolute URLs and absolute paths, which is what the site has.
fn resolve(base: &Uri, href: &str) -> Option<String> {
    let href = href.split_once('#').map_or(href, |(page, _)| page);
    let root = format!("{}://{}", base.scheme_str()?, base.authority()?);
    if href.starts_with('/') && !href.starts_with("//") {
        return Some(root + href);
    }
    let rest = href.strip_prefix(&root)?;
    match rest {
        "" => Some(root + "/"),
        _ if rest.starts_with('/') => Some(href.to_owned()),
        _ => None, // the host's name only begins like ours, or the port does
    }
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_stay_on_the_host() {
        let base = "http://host:80/a/b".parse().unwrap();
        let text = r#"<a href="/x">x</a> <a href="http://host:80/y?q#part">y</a> <a href="/x#again">x</a>
            <a href="http://other/z">z</a> <a href="//other/z">z</a> <a href="http://host:8080/z">z</a> <a href="/open"#;
        assert_eq!(links(&base, text, None), ["http://host:80/x", "http://host:80/y?q"]);
        assert_eq!(links(&base, "", Some("http://host:80")), ["http://host:80/"]);
    }
}
