//! What a file's name says: version, slug, store, which half of a pair.

use std::fmt::Write as _;

use dunlin_core::Version;

/// A name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    pub(super) version: Version,
    pub(super) slug: &'a str,
    /// The part between slug and extension, which names a store.
    pub(super) store: Option<&'a str>,
    pub(super) half: Half,
    pub(super) extension: &'a str,
}

/// Which part of a migration a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Half {
    Whole,
    Up,
    Down,
}

impl FileName<'_> {
    /// This name for another store, or for none.
    pub(super) fn with_store(&self, store: Option<&str>) -> String {
        let slug = if self.slug.is_empty() { String::new() } else { format!("_{}", self.slug) };
        let store = store.map(|store| format!(".{store}")).unwrap_or_default();
        let half = match self.half {
            Half::Whole => "",
            Half::Up => ".up",
            Half::Down => ".down",
        };
        format!("{}{slug}{store}{half}.{}", self.version, self.extension)
    }
}

/// `<version>[_<slug>][.<store>][.up|.down].<extension>`
pub(super) fn parse(name: &str) -> Option<FileName<'_>> {
    let (rest, extension) = name.rsplit_once('.')?;
    let (rest, half) = if let Some(rest) = rest.strip_suffix(".up") {
        (rest, Half::Up)
    } else if let Some(rest) = rest.strip_suffix(".down") {
        (rest, Half::Down)
    } else {
        (rest, Half::Whole)
    };
    let (rest, store) = rest.split_once('.').map_or((rest, None), |(rest, store)| (rest, Some(store)));
    let (version, slug) = rest.split_once('_').unwrap_or((rest, ""));
    Some(FileName { version: Version::parse(version)?, slug, store, half, extension })
}

/// What another tool's name would be here, if that is what this looks like. A number in several parts is not translated
/// here: shortened, two of them could be the same. See [`in_parts`].
pub(super) fn suggestion(name: &str) -> Option<String> {
    let (rest, extension) = name.rsplit_once('.')?;
    let extension = extension.to_lowercase();
    let digits = rest.trim_start_matches(['V', 'v', 'U', 'm']);
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    let (number, words) = digits.split_at(end);
    let goes_on = |letters: &str| letters.starts_with(|letter: char| letter.is_ascii_digit());
    if number.is_empty() || words.get(1..).is_some_and(goes_on) {
        return None;
    }
    let slug = words.trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).replace([' ', '-'], "_");
    let half = if rest.starts_with('U') { ".down" } else { "" };
    let slug = if slug.is_empty() { slug } else { format!("_{}", slug.to_lowercase()) };
    Some(format!("{number}{slug}{half}.{extension}"))
}

/// The same for a number in several parts (`V1.2__x.sql`, `V1_2__x.sql`), each as wide as the others that follow the first.
/// Only sound if all files are renamed alike.
pub(super) fn in_parts(name: &str) -> Option<String> {
    let (rest, extension) = name.rsplit_once('.')?;
    let (version, slug) = rest.split_once("__")?;
    let mut parts = version.trim_start_matches(['V', 'v', 'U']).split(['_', '.']);
    let mut number = parts.next()?.to_owned();
    let first = number.len();
    for part in parts {
        let _ = write!(number, "{part:0>3}");
    }
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let half = if version.starts_with('U') { ".down" } else { "" };
    let slug = slug.replace([' ', '-'], "_").to_lowercase();
    let is_told = is_number && first > 0 && number.len() > first;
    is_told.then(|| format!("{number}_{slug}{half}.{}", extension.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = parse("20261121_add_users.app.up.sql").unwrap();
        assert_eq!((name.version.as_str(), name.slug, name.store), ("20261121", "add_users", Some("app")));
        assert_eq!((name.half, name.extension), (Half::Up, "sql"));
        let plain = parse("0001.toml").unwrap();
        assert_eq!((plain.slug, plain.store, plain.half), ("", None, Half::Whole));
        assert!(parse("V1__x.sql").is_none() && parse("readme").is_none());
    }

    #[test]
    fn other_tools_names_are_translated() {
        assert_eq!(suggestion("V1__Add users.sql").unwrap(), "1_add_users.sql");
        assert_eq!(suggestion("20240101-create-x.js").unwrap(), "20240101_create_x.js");
        assert_eq!(suggestion("V2__z.SQL").unwrap(), "2_z.sql");
        assert_eq!(suggestion("notes.txt"), None);
    }

    #[test]
    fn numbers_in_parts_keep_their_order() {
        for (name, told) in [
            ("V1_1__Add users.sql", Some("1001_add_users.sql")),
            ("V1.12__y.SQL", Some("1012_y.sql")),
            ("U2.0.3__z.sql", Some("2000003_z.down.sql")),
            ("V1__x.sql", None),
            ("V_1__x.sql", None),
            ("notes__1.txt", None),
        ] {
            assert_eq!(in_parts(name).as_deref(), told, "{name}");
        }
    }
}
