//! The key half: what is looked up on every request.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Script};

use crate::{Error, Shape, What, Work};

/// Gives the first key that is there another value, unless a greater one is there. ARGV: the value, and when it ends.
const PUT: &str = "
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if held then
    if held < ARGV[1] then redis.call('SET', key, unpack(ARGV)) end
    return 1
  end
end
return 0";

/// How long a user is remembered, and how long it is remembered that a user left, in seconds.
const DAY: u64 = 86_400;
const HOUR: &str = "3600";

/// A connection.
#[derive(Debug)]
pub struct Cache(pub(crate) MultiplexedConnection);

impl Cache {
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        Ok(Self(redis::Client::open(url)?.get_multiplexed_async_connection().await?))
    }

    pub(crate) async fn carry_out(&mut self, shape: Shape, work: Work) -> Result<(), Error> {
        let keys = shape.places(format!("user_{}", work.user), format!("user:{}:profile", work.user));
        let value = format!(r#"{{"name":"{}","email":"{}"}}"#, work.name(), work.email());
        match work.what {
            What::SignUp if work.user % 2 == 0 => Ok(self.0.set_ex(&keys[0], value, DAY).await?),
            What::SignUp => Ok(self.0.set(&keys[0], value).await?),
            What::Change => self.put(&keys, &[&value, "KEEPTTL"]).await,
            // A key deleted under one name would come back from the other. So it says what is true, and ends by itself.
            What::Leave => {
                let left = format!(r#"{{"name":"{}","left":{}}}"#, work.name(), work.round);
                self.put(&keys, &[&left, "EX", HOUR]).await
            }
            What::Read => {
                let held: Vec<Option<String>> = self.0.mget(&keys).await?;
                let seen = held.into_iter().flatten().next();
                let is_kept = seen.as_ref().is_some_and(|seen| *seen >= value);
                if is_kept { Ok(()) } else { Err(format!("reads {seen:?}").into()) }
            }
        }
    }

    async fn put(&mut self, keys: &[String], words: &[&str]) -> Result<(), Error> {
        let script = Script::new(PUT);
        let mut put = script.prepare_invoke();
        for key in keys {
            put.key(key);
        }
        for word in words {
            put.arg(*word);
        }
        let is_put: bool = put.invoke_async(&mut self.0).await?;
        if is_put { Ok(()) } else { Err(format!("there is no {}", keys.join(" and no ")).into()) }
    }
}
