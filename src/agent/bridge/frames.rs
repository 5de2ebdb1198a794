//! The frames of a Connect stream: a flag byte, a big-endian length of four bytes, and a message.

use bytes::{Buf, Bytes, BytesMut};

use super::connect::{LONGEST, RpcError};

/// The frame is compressed; we accept no compression.
const COMPRESSED: u8 = 1;

/// The frame is the last one.
const END: u8 = 2;

/// One frame of a stream: its message.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    Message(Bytes),
    End(Bytes),
}

/// Frames out of arbitrary chunks.
#[derive(Debug, Default)]
pub(super) struct ConnectFrames {
    buffer: BytesMut,
}

impl ConnectFrames {
    /// Takes a chunk of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// [`RpcError::Malformed`] if it is too long or compressed.
    pub fn next(&mut self) -> Result<Option<Frame>, RpcError> {
        let Some((&[flags, a, b, c, d], _)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(RpcError::Malformed(format!("a frame of {length} bytes")));
        }
        if flags & COMPRESSED != 0 {
            return Err(RpcError::Malformed("a compressed frame".to_owned()));
        }
        if self.buffer.len() - 5 < length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let message = self.buffer.split_to(length).freeze();
        Ok(Some(if flags & END == 0 {
            Frame::Message(message)
        } else {
            Frame::End(message)
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[flags][..], &length, message].concat()
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            chunk in 1usize..20,
        ) {
            let mut wire: Vec<u8> = messages.iter().flat_map(|message| frame(0, message)).collect();
            wire.extend(frame(END, b"{}"));
            let mut frames = ConnectFrames::default();
            let mut found = Vec::new();
            for chunk in wire.chunks(chunk) {
                frames.push(chunk);
                while let Some(frame) = frames.next().unwrap() {
                    found.push(frame);
                }
            }
            let expected: Vec<_> = messages.into_iter().map(|message| Frame::Message(message.into()))
                .chain([Frame::End(Bytes::from_static(b"{}"))]).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn frames_that_cannot_be_read_are_errors() {
        for wire in [frame(COMPRESSED, b"{}"), vec![0, 0xff, 0xff, 0xff, 0xff]] {
            let mut frames = ConnectFrames::default();
            frames.push(&wire);
            assert!(matches!(frames.next(), Err(RpcError::Malformed(_))));
        }
    }
}
