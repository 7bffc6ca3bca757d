//! The journal as it arrives: lines of JSON, read as soon as they are whole, each wait bounded.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sluice_contract::journal::Frame;
use tokio::time::timeout;

use super::error::LinkError;

/// The control plane sends something each second; after this long without anything the connection is dead.
const SILENCE: Duration = Duration::from_secs(5);
/// Most bytes of one line.
const LINE_MAX: usize = 32 << 20;

/// An open journal.
pub(super) struct JournalStream {
    body: Incoming,
    buffer: BytesMut,
    /// Bytes of `buffer` in which there is no line's end.
    searched: usize,
}

impl JournalStream {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next frame. None when the control plane has ended the stream. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, LinkError> {
        loop {
            if let Some(frame) = self.arrived()? {
                return Ok(Some(frame));
            }
            if self.buffer.len() > LINE_MAX {
                return Err(LinkError::Protocol(format!(
                    "a line of the journal is longer than {LINE_MAX} bytes"
                )));
            }
            let Some(frame) = timeout(SILENCE, self.body.frame()).await.map_err(|_| LinkError::Timeout)?
            else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    /// The next frame if it is here already.
    pub(super) fn arrived(&mut self) -> Result<Option<Frame>, LinkError> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let line: Bytes = self.buffer.split_to(self.searched + end).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        read(&line).map(Some)
    }
}

/// A line of the journal. A control plane that is newer may write what this gateway cannot know.
fn read(line: &[u8]) -> Result<Frame, LinkError> {
    serde_json::from_slice(line).map_err(|error| {
        let begins: String = String::from_utf8_lossy(line).chars().take(120).collect();
        LinkError::Protocol(format!(
            "a line of its journal cannot be read ({error}); the gateway goes on with what it has until it is as new as \
             the control plane. The line begins: {begins}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_control_plane_writes_is_named() {
        assert!(matches!(read(br#"{"frame":"heartbeat","head":7}"#), Ok(Frame::Heartbeat { head: 7 })));
        let newer = read(br#"{"frame":"tomorrow","head":7}"#).unwrap_err().to_string();
        for part in
            ["unknown variant `tomorrow`", "as new as the control plane", r#"begins: {"frame":"tomorrow""#]
        {
            assert!(newer.contains(part), "{newer}");
        }
    }
}
