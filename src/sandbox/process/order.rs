//! The order to run a program, as a child gets it that was started before it was known what for.
//!
//! The child starts the program straight from the order's text: what it would make of it first, it would
//! make while the user waits.

use std::{
    ffi::{CStr, OsStr, OsString},
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use super::SpawnSpec;

/// An order is at most so long: more than the kernel takes as arguments and environment.
const LONGEST: u32 = 8 << 20;

/// The bytes that say how long it is.
const LENGTH: usize = size_of::<u32>();

impl SpawnSpec {
    /// The order to run this: the length of what follows, and that as texts which each end in NUL: the
    /// directory, the program, the number of its arguments, these, and each variable of the environment as
    /// `name=value`.
    ///
    /// # Errors
    /// If something holds a NUL, or all of it is too long: that could not be run either.
    pub fn to_order(&self) -> io::Result<SpawnOrder> {
        let count = OsString::from(self.args.len().to_string());
        let head = [self.cwd.as_os_str(), self.program.as_os_str(), &count];
        let args = self.args.iter().map(OsString::as_os_str);
        let texts = head
            .into_iter()
            .chain(args)
            .map(|text| [text, "".as_ref(), "".as_ref()]);
        let env = self.env.iter();
        let env = env.map(|(name, value)| [name.as_os_str(), "=".as_ref(), value]);
        let mut order = vec![0; LENGTH];
        for part in texts.chain(env) {
            let before = order.len();
            part.into_iter()
                .for_each(|part| order.extend_from_slice(part.as_bytes()));
            if order[before..].contains(&0) {
                let message = "it has a NUL byte";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            order.push(0);
        }
        let length = u32::try_from(order.len() - LENGTH).ok();
        let length = length.filter(|length| *length <= LONGEST);
        let length = length.ok_or(io::ErrorKind::ArgumentListTooLong)?;
        order[..LENGTH].copy_from_slice(&length.to_le_bytes());
        Ok(SpawnOrder(order))
    }
}

/// An order as it is sent.
#[derive(Debug)]
pub struct SpawnOrder(Vec<u8>);

/// What an order says is to be run.
#[derive(Debug, PartialEq, Eq)]
pub struct OrderedSpawn<'a> {
    /// The working directory.
    pub cwd: &'a Path,
    /// The path of the program.
    pub program: &'a CStr,
    /// Its arguments; the first is its name.
    pub args: Vec<&'a CStr>,
    /// Its environment, as `name=value`.
    pub env: Vec<&'a CStr>,
}

impl SpawnOrder {
    /// Reads an order, and nothing beyond it. `None` if there comes none.
    ///
    /// # Errors
    /// If it is broken.
    pub fn read(mut from: impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; LENGTH];
        match from.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let length = u32::from_le_bytes(head);
        if length > LONGEST {
            return Err(broken());
        }
        let mut order = vec![0; LENGTH + length as usize];
        order[..LENGTH].copy_from_slice(&head);
        from.read_exact(&mut order[LENGTH..])?;
        Ok(Some(Self(order)))
    }

    /// What is sent.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// What is to be run.
    ///
    /// # Errors
    /// If it is broken.
    pub fn ordered(&self) -> io::Result<OrderedSpawn<'_>> {
        self.parse().ok_or_else(broken)
    }

    fn parse(&self) -> Option<OrderedSpawn<'_>> {
        let mut rest = &self.0[LENGTH..];
        let mut next = || {
            let text = CStr::from_bytes_until_nul(rest).ok()?;
            rest = &rest[text.to_bytes_with_nul().len()..];
            Some(text)
        };
        let (cwd, program) = (next()?, next()?);
        let count: usize = next()?.to_str().ok()?.parse().ok()?;
        let mut args = vec![program];
        for _ in 0..count {
            args.push(next()?);
        }
        let env = std::iter::from_fn(&mut next).collect();
        let cwd = Path::new(OsStr::from_bytes(cwd.to_bytes()));
        rest.is_empty().then_some(OrderedSpawn {
            cwd,
            program,
            args,
            env,
        })
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the order is broken")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

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
        let mut input = spec().to_order().unwrap().into_bytes();
        input.extend_from_slice(b"the prompt");
        let mut from = &input[..];
        let order = SpawnOrder::read(&mut from).unwrap().unwrap();
        assert_eq!(from, b"the prompt");
        let expected = OrderedSpawn {
            cwd: Path::new("/w s"),
            program: c"/bin/a b",
            args: vec![c"/bin/a b", c"-x", c"", c"\xff\n"],
            env: vec![c"A=b=c", c"EMPTY="],
        };
        assert_eq!(order.ordered().unwrap(), expected);
        let bare = SpawnSpec {
            args: Vec::new(),
            env: Vec::new(),
            ..spec()
        };
        let input = bare.to_order().unwrap().into_bytes();
        let order = SpawnOrder::read(&*input).unwrap().unwrap();
        let expected = OrderedSpawn {
            args: vec![c"/bin/a b"],
            env: Vec::new(),
            ..expected
        };
        assert_eq!(order.ordered().unwrap(), expected);
    }

    #[test]
    fn broken_orders_are_refused() {
        assert!(SpawnOrder::read(&[][..]).unwrap().is_none());
        let order = spec().to_order().unwrap().into_bytes();
        assert!(SpawnOrder::read(&order[..order.len() - 1]).is_err());
        for broken in [
            &[1, 0, 0, 0, 0][..],
            &[0, 0, 0, 0],
            &[0xff; 8],
            b"\x05\0\0\0/\0/\x001",
            b"\x06\0\0\0/\0/\x001\0",
            b"\x06\0\0\0/\0/\0x\0",
            b"\x08\0\0\0/\0/\x000\0A=",
        ] {
            let read = SpawnOrder::read(broken).and_then(|order| match order {
                Some(order) => order.ordered().map(|_| ()),
                None => Ok(()),
            });
            assert!(read.is_err(), "{broken:?}");
        }
        let args = vec!["a\0b".into()];
        assert!(SpawnSpec { args, ..spec() }.to_order().is_err());
    }
}
