//! The page live on this machine while a search or a measurement goes on: loopback only, and nothing can be changed.

use crate::data::running_value;
use crate::page::{render_live, render_parts};
use crate::{ReportError, ReportInput};
use serde_json::json;
use slimfit_study::Study;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tiny_http::{Header, Method, Request, Response, Server};

/// How long a stop may go unnoticed.
const PATIENCE: Duration = Duration::from_millis(200);

/// A page that is made anew whenever the study has something new.
///
/// It answers `GET /` with the page, `GET /running.json` with how far an unfinished search is and which state of the study
/// there is, and `GET /parts.json` with what an open page needs to show that state, to requests of this machine's own browsers: it is bound to the loopback address, and a request that names another host (a page somewhere that
/// points a name of its own here) is refused.
pub struct LiveReport {
    server: Server,
    address: SocketAddr,
}

/// What was made of one state of the study.
struct Made {
    revision: String,
    page: String,
    parts: String,
}

impl LiveReport {
    /// Takes a port of the loopback address; 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken or not allowed.
    pub fn bind(port: u16) -> Result<Self, ReportError> {
        let bad = |reason: String| ReportError::Port { port, reason };
        let server = Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|error| bad(error.to_string()))?;
        let address =
            server.server_addr().to_ip().ok_or_else(|| bad("it has no address of its own".to_owned()))?;
        Ok(Self { server, address })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until `stop` is set. `describe` says what the records do not: the command, and when the page was made.
    ///
    /// # Errors
    /// When requests cannot be received. A study that cannot be read for a moment is told to the browser instead.
    pub fn serve(
        &self,
        study: &Study,
        describe: &dyn Fn(&mut ReportInput),
        stop: &AtomicBool,
    ) -> Result<(), ReportError> {
        let mut made = None;
        while !stop.load(Ordering::Relaxed) {
            let received = self.server.recv_timeout(PATIENCE).map_err(|error| ReportError::Port {
                port: self.address.port(),
                reason: error.to_string(),
            })?;
            if let Some(request) = received {
                self.answer(request, study, describe, &mut made);
            }
        }
        Ok(())
    }

    fn answer(
        &self,
        request: Request,
        study: &Study,
        describe: &dyn Fn(&mut ReportInput),
        made: &mut Option<Made>,
    ) {
        let path = request.url().split('?').next().unwrap_or_default().to_owned();
        let (status, kind, text) = if !self.is_asked_for(&request) {
            (403, "text/plain", "this page is for this machine's own browsers".to_owned())
        } else if !matches!(request.method(), Method::Get | Method::Head) {
            (405, "text/plain", "this page can only be read".to_owned())
        } else {
            let body = match path.as_str() {
                "/" | "/report.html" => {
                    self::made(study, describe, made).map(|made| ("text/html", made.page.clone()))
                }
                "/parts.json" => {
                    self::made(study, describe, made).map(|made| ("application/json", made.parts.clone()))
                }
                "/running.json" => running(study).map(|json| ("application/json", json)),
                _ => Ok(("", String::new())),
            };
            match body {
                Ok(("", _)) => (
                    404,
                    "text/plain",
                    "there is nothing here but `/`, `/running.json` and `/parts.json`".to_owned(),
                ),
                Ok((kind, text)) => (200, kind, text),
                // Another process may be writing; the page asks again.
                Err(error) => (503, "text/plain", error.to_string()),
            }
        };
        // In one piece with its length, so that a browser knows when it has all.
        let mut response =
            Response::from_string(text).with_status_code(status).with_chunked_threshold(usize::MAX);
        for (name, value) in [
            ("Content-Type", format!("{kind}; charset=utf-8")),
            ("Cache-Control", "no-store".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
        ] {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        // A browser that went away misses nothing.
        let _ = request.respond(response);
    }

    /// Whether the browser meant this machine.
    fn is_asked_for(&self, request: &Request) -> bool {
        let port = self.address.port();
        let host = request.headers().iter().find(|header| header.field.equiv("Host"));
        host.is_some_and(|host| {
            [format!("127.0.0.1:{port}"), format!("localhost:{port}")]
                .iter()
                .any(|own| *own == host.value.as_str())
        })
    }
}

/// What is shown of the study as it is.
fn made<'a>(
    study: &Study,
    describe: &dyn Fn(&mut ReportInput),
    made: &'a mut Option<Made>,
) -> Result<&'a Made, ReportError> {
    let revision = study.revision()?;
    if made.as_ref().is_some_and(|known| known.revision != revision) {
        *made = None;
    }
    if let Some(known) = made {
        return Ok(known);
    }
    let mut input = ReportInput::from_study(study)?;
    describe(&mut input);
    let page = render_live(&input, &revision)?;
    let parts = render_parts(&input)?;
    let parts =
        json!({ "revision": revision, "records": parts.records, "sections": parts.sections }).to_string();
    Ok(made.insert(Made { revision, page, parts }))
}

/// How far an unfinished search is, and which state of the study a page should show.
fn running(study: &Study) -> Result<String, ReportError> {
    let (revision, running) = (study.revision()?, study.running_search()?);
    let running = running.as_ref().map(running_value).transpose()?;
    Ok(json!({ "revision": revision, "running": running }).to_string())
}
