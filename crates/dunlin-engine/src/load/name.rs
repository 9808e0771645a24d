//! What a file's name says: version, slug, store, which half of a pair.

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

/// What another tool's name would be here, if that is what this looks like.
pub(super) fn suggestion(name: &str) -> Option<String> {
    let (rest, extension) = name.rsplit_once('.')?;
    let digits = rest.trim_start_matches(['V', 'v', 'U', 'm']);
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let slug =
        digits[end..].trim_matches(|letter: char| !letter.is_ascii_alphanumeric()).replace([' ', '-'], "_");
    Some(format!("{}_{}.{extension}", &digits[..end], slug.to_lowercase()))
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
        assert_eq!(suggestion("notes.txt"), None);
    }
}
