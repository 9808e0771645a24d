//! Where a store is. Secrets never leave this type but through [`StoreUrl::expose`]: Display, Debug and every message
//! scrubbed with it show `***`.

use std::fmt;
use std::sync::Arc;

/// Query parameters whose values are secrets, in the drivers we use.
const SECRET_PARAMETERS: [&str; 6] =
    ["password", "sslpassword", "tlscertificatekeyfilepassword", "authmechanismproperties", "passwd", "pass"];

/// A URL that hides its password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Arc<str>);

impl StoreUrl {
    /// Of a text.
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self(url.into())
    }

    /// The whole text, password included: for drivers only.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon, in lower case.
    pub fn scheme(&self) -> String {
        self.0.split(':').next().unwrap_or_default().to_ascii_lowercase()
    }

    /// The value of a query parameter, as written.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let query = self.0.split_once('?')?.1;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The URL without some of its query parameters: ours, that a driver would refuse.
    pub fn without(&self, names: &[&str]) -> Self {
        let Some((base, query)) = self.0.split_once('?') else { return self.clone() };
        let is_kept = |pair: &&str| {
            let key = pair.split('=').next().unwrap_or_default();
            !names.iter().any(|name| key.eq_ignore_ascii_case(name))
        };
        let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
        if kept.is_empty() { Self::new(base) } else { Self::new(format!("{base}?{}", kept.join("&"))) }
    }

    /// A message with every spelling of this URL's secrets replaced.
    pub fn scrub(&self, message: &str) -> String {
        let mut message = message.replace(&*self.0, &self.to_string());
        for secret in self.secrets() {
            message = message.replace(&secret, "***");
        }
        message
    }

    /// The byte range of the password between the user's name and the host.
    fn password(&self) -> Option<(usize, usize)> {
        let authority = self.0.find("://")? + 3;
        let rest = &self.0[authority..];
        // A password may hold an unescaped `/`, `?` or `#`; the last `@` before any of our own query decides, so that
        // too much is hidden rather than too little.
        let end = rest.split_once('?').map_or(rest, |(before, after)| {
            if before.contains('@') {
                before
            } else if after.contains('@') {
                rest
            } else {
                before
            }
        });
        let at = end.rfind('@')?;
        let colon = end[..at].find(':')?;
        (colon + 1 < at).then_some((authority + colon + 1, authority + at))
    }

    fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> =
            self.password().map(|(start, end)| self.0[start..end].to_owned()).into_iter().collect();
        secrets.extend(SECRET_PARAMETERS.iter().filter_map(|name| self.parameter(name)).map(str::to_owned));
        let decoded: Vec<String> = secrets.iter().map(|secret| decode(secret)).collect();
        secrets.extend(decoded);
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        secrets
    }
}

/// Percent-decodes; what is no valid escape stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = match self.password() {
            Some((start, end)) => format!("{}***{}", &self.0[..start], &self.0[end..]),
            None => self.0.to_string(),
        };
        for secret in SECRET_PARAMETERS
            .iter()
            .filter_map(|name| self.parameter(name))
            .filter(|secret| !secret.is_empty())
        {
            shown = shown.replace(&format!("={secret}"), "=***");
        }
        f.pad(&shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_everywhere() {
        for (url, shown) in [
            ("postgres://u:p%40ss@h/db", "postgres://u:***@h/db"),
            ("mongodb://u:a/b?c@h:1,i:2/db?authSource=admin", "mongodb://u:***@h:1,i:2/db?authSource=admin"),
            ("redis://:s3cret@h:6379/0", "redis://:***@h:6379/0"),
            ("mysql://h/db?user=u&password=s3cret", "mysql://h/db?user=u&password=***"),
            ("sqlite:///tmp/a.db", "sqlite:///tmp/a.db"),
            ("postgres://u@h/db", "postgres://u@h/db"),
        ] {
            assert_eq!(StoreUrl::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", StoreUrl::new(url)), format!("StoreUrl({shown})"));
        }
    }

    #[test]
    fn messages_are_scrubbed_of_both_spellings() {
        let url = StoreUrl::new("postgres://u:p%40ss@h/db");
        assert_eq!(
            url.scrub("bad p%40ss, bad p@ss, bad postgres://u:p%40ss@h/db"),
            "bad ***, bad ***, bad postgres://u:***@h/db"
        );
    }

    #[test]
    fn parameters_are_read_and_removed() {
        let url = StoreUrl::new("sqlite://a.db?create=true&mode=ro");
        assert_eq!(url.parameter("create"), Some("true"));
        assert_eq!(url.without(&["create"]).expose(), "sqlite://a.db?mode=ro");
        assert_eq!(url.without(&["create", "mode"]).expose(), "sqlite://a.db");
    }
}
