//! A child that is started before it is known what for.
//!
//! It gets its order, which is a [`SpawnSpec`], as the first bytes of its stdin, and must read no
//! byte more: what follows is the stdin of the program that it becomes or starts.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::ffi::OsStringExt as _,
};

use tokio::process::Child;

use super::SpawnSpec;

/// An order is at most so long: more than the kernel takes as arguments and environment.
const LONGEST: u32 = 8 << 20;

/// The bytes that say how long it is.
const LENGTH: usize = size_of::<u32>();

/// A child that waits for its order. Dropped, it is killed.
#[derive(Debug)]
pub struct WaitingChild {
    pub(super) child: Child,
}

impl WaitingChild {
    /// Starts a program that reads an order. To be called within the runtime.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn start(spec: &SpawnSpec) -> io::Result<Self> {
        let child = spec.command().kill_on_drop(true).spawn()?;
        Ok(Self { child })
    }

    /// Whether it still waits, as far as can be seen.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it and waits until it is gone.
    pub async fn end(mut self) {
        let _ = self.child.kill().await;
    }
}

/// How a child comes to run a program.
#[derive(Debug)]
pub enum Start {
    /// It is started.
    New(SpawnSpec),
    /// It is there, and gets the order.
    Waiting(WaitingChild, SpawnSpec),
}

impl Start {
    /// What is run.
    pub fn spec(&mut self) -> &mut SpawnSpec {
        match self {
            Self::New(spec) | Self::Waiting(_, spec) => spec,
        }
    }
}

impl SpawnSpec {
    /// The order to run this: the length of what follows, and that as texts which each end in NUL: the
    /// directory, the program, the number of its arguments, these, and the environment's names and
    /// values. What holds a NUL could not be run either.
    pub(super) fn to_order(&self) -> io::Result<Vec<u8>> {
        let count = OsString::from(self.args.len().to_string());
        let head = [self.cwd.as_os_str(), self.program.as_os_str(), &count];
        let args = self.args.iter().map(OsString::as_os_str);
        let env = self
            .env
            .iter()
            .flat_map(|(name, value)| [name.as_os_str(), value]);
        let mut order = vec![0; LENGTH];
        for part in head.into_iter().chain(args).chain(env) {
            let part = part.as_encoded_bytes();
            if part.contains(&0) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it has a NUL byte",
                ));
            }
            order.extend_from_slice(part);
            order.push(0);
        }
        let length = u32::try_from(order.len() - LENGTH).ok();
        let length = length.filter(|length| *length <= LONGEST);
        let length = length.ok_or(io::ErrorKind::ArgumentListTooLong)?;
        order[..LENGTH].copy_from_slice(&length.to_le_bytes());
        Ok(order)
    }

    /// Reads an order, and nothing beyond it. `None` if there comes none.
    ///
    /// # Errors
    /// If it is broken.
    pub fn from_order(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; LENGTH];
        match from.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "the order is broken");
        let length = u32::from_le_bytes(length);
        if length > LONGEST {
            return Err(broken());
        }
        let mut order = vec![0; length as usize];
        from.read_exact(&mut order)?;
        Self::parse(&order).map(Some).ok_or_else(broken)
    }

    fn parse(order: &[u8]) -> Option<Self> {
        let parts = order.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let mut parts = parts.map(|part| OsString::from_vec(part.to_vec()));
        let (cwd, program) = (parts.next()?.into(), parts.next()?.into());
        let count: usize = parts.next()?.to_str()?.parse().ok()?;
        let args: Vec<OsString> = parts.by_ref().take(count).collect();
        let mut env = Vec::new();
        while let Some(name) = parts.next() {
            env.push((name, parts.next()?));
        }
        (args.len() == count).then_some(Self {
            program,
            args,
            env,
            cwd,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn spec() -> SpawnSpec {
        SpawnSpec {
            program: "/bin/a b".into(),
            args: vec![
                "-x".into(),
                "".into(),
                OsString::from_vec(vec![0xff, b'\n']),
            ],
            env: vec![("A".into(), "b=c".into()), ("EMPTY".into(), "".into())],
            cwd: "/w s".into(),
        }
    }

    #[test]
    fn an_order_is_read_to_its_end_and_no_further() {
        for spec in [
            spec(),
            SpawnSpec {
                args: Vec::new(),
                env: Vec::new(),
                ..spec()
            },
        ] {
            let mut input = spec.to_order().unwrap();
            input.extend_from_slice(b"the prompt");
            let mut from = &input[..];
            assert_eq!(SpawnSpec::from_order(&mut from).unwrap(), Some(spec));
            assert_eq!(from, b"the prompt");
        }
    }

    #[test]
    fn broken_orders_are_refused() {
        assert_eq!(SpawnSpec::from_order(&[][..]).unwrap(), None);
        let order = spec().to_order().unwrap();
        assert!(SpawnSpec::from_order(&order[..order.len() - 1]).is_err());
        for broken in [
            &[1, 0, 0, 0, 0][..],
            &[0, 0, 0, 0],
            &[0xff; 8],
            b"\x05\0\0\0/\0/\x001",
            b"\x06\0\0\0/\0/\x001\0",
            b"\x06\0\0\0/\0/\0x\0",
            b"\x08\0\0\0/\0/\x000\0A\0",
        ] {
            assert!(SpawnSpec::from_order(broken).is_err(), "{broken:?}");
        }
        let args = vec!["a\0b".into()];
        assert!(SpawnSpec { args, ..spec() }.to_order().is_err());
    }
}
