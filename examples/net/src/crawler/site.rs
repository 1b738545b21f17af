//! A site to crawl that harms nobody: made up as it is asked for, and served here, on loopback, by the crate's own
//! server (`front`).
//!
//! Pages `/page/0` to `/page/<n - 1>` form a graph with shortcuts and circles. Some are slow, some are missing, some
//! redirect, two of them to each other, and one never answers but hangs up. The same number of pages gives the same site.

use std::net::SocketAddr;
use std::time::Duration;

use gort::context::Context;
use gort::net::TcpListener;

use crate::front::{self, Limits, Request, Response};
use crate::serve;

/// How long a slow page takes.
const SLOW: Duration = Duration::from_millis(50);

/// Where a site begins that is served at `addr`.
pub fn site_url(addr: SocketAddr) -> String {
    format!("http://{addr}/")
}

/// Serves a site of so many pages until the context is done.
pub fn serve_site(listener: &TcpListener, ctx: &Context, pages: usize) {
    serve::serve(listener, ctx, move |stream, ctx| {
        let to_hang_up = stream.try_clone()?;
        front::serve_connection(stream, ctx, &Limits::default(), |request| {
            if request.target == "/hangs-up" {
                to_hang_up.close();
            }
            answer(request, pages)
        })
    });
}

fn answer(request: &Request, pages: usize) -> Response {
    match request.target.as_str() {
        "/" => page("The site", ["/page/0", "/circle/a", "/self", "/hangs-up", "http://elsewhere.invalid/"]),
        "/circle/a" => moved("/circle/b"),
        "/circle/b" => moved("/circle/a"),
        "/self" => moved("/self"),
        target => match target.strip_prefix("/page/").and_then(|number| number.parse::<usize>().ok()) {
            Some(number) if number < pages => numbered(number, pages),
            _ => Response::new(404, "404 Not Found: <a href=\"/\">home</a>\n"),
        },
    }
}

fn numbered(number: usize, pages: usize) -> Response {
    if number % 13 == 5 {
        gort::sleep(SLOW);
    }
    if number % 29 == 7 {
        return moved(&format!("/page/{}", (number + 11) % pages));
    }
    let next = [2 * number + 1, 2 * number + 2, (7 * number + 3) % pages, number / 2];
    let mut links = next.map(|page| format!("/page/{page}")).to_vec(); // the first two may lead out of the site: 404
    if number % 17 == 3 {
        links.push(format!("/missing/{number}"));
    }
    page(&format!("Page {number}"), links.iter().map(String::as_str))
}

fn page<'a>(title: &str, links: impl IntoIterator<Item = &'a str>) -> Response {
    let links: String =
        links.into_iter().map(|link| format!("<li><a href=\"{link}\">{link}</a>\n")).collect();
    let text = format!("<!doctype html><title>{title}</title>\n<h1>{title}</h1>\n<ul>\n{links}</ul>\n");
    Response::new(200, text).with("content-type", "text/html; charset=utf-8")
}

fn moved(to: &str) -> Response {
    Response::new(302, "").with("location", to)
}
