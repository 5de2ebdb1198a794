//! The row type of settings, and the macro that turns rows into a struct.

/// A setting, as text.
#[derive(Debug)]
pub struct Row {
    /// The flag without its dashes, and the key in the file.
    pub name: &'static str,
    /// The placeholder of the value in help.
    pub value_name: &'static str,
    /// What help lists it under.
    pub heading: &'static str,
    /// The variable.
    pub env: Option<&'static str>,
    /// The value if no source gives one.
    pub default: Option<&'static str>,
    /// Its help text.
    pub doc: &'static str,
    /// Checks a text; the error explains what is wrong.
    pub check: fn(&str) -> Result<(), String>,
}

/// Rows in, a struct out: with a field per row, `ROWS`, and `typed`, which reads resolved texts.
///
/// `/// doc` `field "name" "VALUE" in "Heading" [VARIABLE]: Type = "default";` where heading, variable and
/// default may be missing: most settings are about tools and answers. A type without a default must be
/// an `Option` or a list.
macro_rules! settings {
    (
        $(#[$meta:meta])* pub struct $Settings:ident;
        $(
            $(#[doc = $doc:literal])+
            $field:ident $name:literal $value:literal $(in $heading:literal)? $([$env:ident])? : $type:ty $(= $default:literal)?;
        )+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $Settings {
            // The texts are help first, and help shows them as they are.
            $($(#[doc = $doc])+ #[allow(rustdoc::bare_urls)] pub $field: $type,)+
        }

        /// All settings, in the order of help.
        pub const ROWS: &[$crate::settings::Row] = &[$(
            $crate::settings::Row {
                name: $name,
                value_name: $value,
                // The first that there is.
                heading: [$($heading,)? "Tools and answers"][0],
                env: [$(Some(stringify!($env)),)? None][0],
                default: [$(Some($default),)? None][0],
                doc: concat!($($doc),+),
                check: |text| <$type as $crate::settings::value::FromText>::parse(Some(text)).map(drop),
            },
        )+];

        impl $Settings {
            /// Reads the resolved texts, which come in the order of [`ROWS`].
            pub(super) fn typed(
                found: &[$crate::settings::Found],
            ) -> Result<Self, $crate::settings::SettingsError> {
                let mut found = found.iter();
                Ok(Self {$(
                    $field: $crate::settings::Found::read(found.next(), $name)?,
                )+})
            }
        }
    };
}

pub(super) use settings;
