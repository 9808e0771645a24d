//! Several places that change together in one migration, each with a model of what its applications must read.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dunlin::{Pace, Project, Target};
use dunlin_testkit::Kind;
use tempfile::TempDir;

use super::place::{self, Change, Deed, Place, Records};
use super::{Client, Standing};

/// The three backends in one migration.
pub(super) const THREE: [Kind; 3] = [Kind::Postgres, Kind::Mongo, Kind::Redis];

pub(super) struct Town {
    pub(super) places: Vec<(Box<dyn Place>, Records)>,
    pub(super) standing: Standing,
    folder: TempDir,
}

impl Town {
    /// Each place with so many records.
    pub(super) async fn found(kinds: &[Kind], change: Change, count: i64) -> Self {
        let first: Records = (0..count).map(|id| (id, 10 * id)).collect();
        Self::with(kinds, change, vec![first; kinds.len()]).await
    }

    /// Another one of the same places, with the records that one has now.
    pub(super) async fn after(town: &Self, kinds: &[Kind], change: Change) -> Self {
        let models = town.places.iter().map(|(_, model)| model.clone()).collect();
        Self::with(kinds, change, models).await
    }

    async fn with(kinds: &[Kind], change: Change, models: Vec<Records>) -> Self {
        let (mut places, mut text) = (Vec::new(), String::new());
        for (kind, model) in kinds.iter().zip(models) {
            let place = place::open(*kind, change, &model).await;
            text.extend(["[[change]]\nstore = '", place.name(), "'\n", place.change(), "\n"]);
            places.push((place, model));
        }
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("1_change.toml"), text).unwrap();
        Self { places, standing: Standing::Before, folder }
    }

    /// Where the migration is.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The stores and their migration; one chunk a call.
    pub(super) fn project(&self) -> Project {
        let mut project = Project::default();
        for (place, _) in &self.places {
            let target = Target {
                lease: Duration::from_secs(5),
                pace: Pace { bout: Duration::ZERO, ..Pace::default() },
                ..Target::new(place.name(), place.url().clone())
            };
            project = project.target(target).unwrap();
        }
        project.directory(self.folder()).unwrap()
    }

    /// An application does something, in every place where it is at work. A record that must be there, or must not, is
    /// looked for in the model of the place.
    pub(super) async fn act(&mut self, client: Client, deed: Deed, (id, value): (i64, i64)) {
        for (place, model) in &mut self.places {
            let deed = match deed {
                Deed::Delete if !model.contains_key(&id) => continue,
                Deed::Insert | Deed::Update if model.contains_key(&id) => Deed::Update,
                Deed::Insert | Deed::Update => Deed::Insert,
                Deed::Delete => deed,
            };
            if !place.may(client, deed, self.standing) {
                continue;
            }
            place.act(client, self.standing, deed, (id, value)).await;
            match deed {
                Deed::Delete => _ = model.remove(&id),
                Deed::Insert | Deed::Update => _ = model.insert(id, value),
            }
        }
    }

    /// Whoever is at work reads what the model says.
    pub(super) async fn check(&self, station: &str) {
        for (place, model) in &self.places {
            for client in [Client::Old, Client::New] {
                if place.reads(client, self.standing) {
                    let read = place.read(client, self.standing).await;
                    let name = place.name();
                    assert_eq!(&read, model, "{station}: {client} reads in {name}, {:?}", self.standing);
                }
            }
        }
    }

    /// All there is, by store.
    pub(super) async fn picture(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut pictures = BTreeMap::new();
        for (place, _) in &self.places {
            pictures.insert(place.name(), place.picture().await);
        }
        pictures
    }
}
