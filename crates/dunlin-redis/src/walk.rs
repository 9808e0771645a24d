//! A walk over the keys of all servers, side by side, from one bout to the next. A cursor is thrown away only on proof
//! that it means nothing any more: the server was started anew. Where slots moved while the walk was going on, a key may
//! have passed from a server that was still to come to one that was done: then the walk is made again.

use std::collections::BTreeMap;

use dunlin_core::{Error, ErrorKind, Pace, Result};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::chunk::{self, Habit, Reach};
use crate::crew::Crew;
use crate::hands::Hands;
use crate::moves::task::Task;
use crate::survey::Survey;
use crate::tally::Tally;

/// How often a walk is made again before somebody must look after the cluster.
const WALKS: u32 = 50;

/// How far a walk got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Walk {
    lanes: BTreeMap<String, Lane>,
    /// The shape of the cluster when it began.
    shape: String,
    /// Whether it has to be made again.
    is_torn: bool,
    /// How often it was.
    again: u32,
}

/// The way over one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lane {
    /// Which start of the server the cursor belongs to.
    run: String,
    /// Where it goes on; nothing once it is at its end.
    cursor: Option<String>,
}

impl Walk {
    /// From the beginning.
    pub(crate) fn new(survey: &Survey) -> Self {
        let lane = |run: &String| Lane { run: run.clone(), cursor: Some("0".to_owned()) };
        let lanes = survey.servers.iter().map(|(name, (_, run))| (name.clone(), lane(run)));
        let (shape, is_torn) = (survey.shape.clone(), !survey.is_settled);
        Self { lanes: lanes.collect(), shape, is_torn, again: 0 }
    }

    /// Takes in how the servers are now.
    fn meet(&mut self, survey: &Survey) {
        self.is_torn |= survey.map.is_cluster && (self.shape != survey.shape || !survey.is_settled);
        self.lanes.retain(|name, _| survey.servers.contains_key(name));
        for (name, lane) in Self::new(survey).lanes {
            if self.lanes.get(&name).is_none_or(|known| known.run != lane.run) {
                self.lanes.insert(name, lane);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.lanes.values().all(|lane| lane.cursor.is_none())
    }

    /// Walks on for one bout; whether the walk is at its end.
    pub(crate) async fn bout(
        &mut self,
        task: &Task<'_>,
        (survey, pace): (&Survey, &Pace),
        (crew, habits): (&mut Crew, &mut BTreeMap<String, Habit>),
        tally: &mut Tally,
    ) -> Result<bool> {
        self.meet(survey);
        // Slots may have moved while big keys were copied.
        self.is_torn |= std::mem::take(&mut tally.is_torn);
        let open = self.lanes.values().filter(|lane| lane.cursor.is_some()).count();
        let reach = Reach::new(pace, open);
        let url = crew.store().target.url.clone();
        let shared = Mutex::new(std::mem::replace(crew, Crew::readers(crew.store().clone())));
        let lanes = self.lanes.iter_mut().filter_map(|(name, lane)| {
            let (server, _) = survey.servers.get(name)?;
            let cursor = lane.cursor.clone()?;
            let mut habit = habits.get(name).copied().unwrap_or_else(|| Habit::new(task, pace));
            let (shared, reach, url) = (&shared, &reach, &url);
            Some(async move {
                let mut tally = Tally::default();
                let mut hands = Hands::new(shared, &survey.map, url);
                let mut wire = shared.lock().await.wire(server).await?;
                let ends =
                    chunk::walk(task, cursor, (reach, &mut habit), (&mut wire, &mut hands), &mut tally)
                        .await?;
                hands.rest().await;
                shared.lock().await.give(server, wire);
                lane.cursor = ends;
                Ok::<_, Error>((name.clone(), habit, tally))
            })
        });
        // All of them come to their end, so that nothing is under way where another one fails.
        let ended = join_all(lanes).await;
        *crew = shared.into_inner();
        for lane in ended {
            let (name, habit, found) = lane.inspect_err(|_| crew.lose())?;
            habits.insert(name, habit);
            self.is_torn |= found.is_torn;
            tally.add(Tally { is_torn: false, ..found });
        }
        if !self.is_over() {
            return Ok(false);
        }
        if survey.map.is_cluster {
            self.meet(&Survey::take(crew.store()).await?);
        }
        if !self.is_torn {
            return Ok(self.is_over());
        }
        self.start_again(survey, tally).await
    }

    async fn start_again(&mut self, survey: &Survey, tally: &mut Tally) -> Result<bool> {
        if self.again >= WALKS {
            let message =
                "slots of the cluster keep moving, so that no walk over its keys is sure to meet all of them";
            return Err(Error::new(ErrorKind::Connect, message)
                .help("let the resharding come to its end (`redis-cli --cluster check` says where it stands), then run it again: it continues"));
        }
        if !survey.is_settled {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
        *self = Self { again: self.again + 1, ..Self::new(survey) };
        // What was left alone is met again.
        *tally = tally.again();
        Ok(false)
    }
}
