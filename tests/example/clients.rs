//! The application of the example (`examples/client`) never stops writing while the example's change comes and goes. What it
//! holds afterwards is compared with what the same work leaves where nothing is changed.

use std::time::Duration;

use dunlin::{Goal, Project};
use dunlin_engine::run::{self, Stop};
use example_client::digest::{self, Digest};
use example_client::{Client, Server, Shape, Urls};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Stores, back};

/// The last of the three migrations that make the stores as they are before the change.
const BEFORE: &str = "20260119090000";
const SERVERS: [Server; 3] = [Server::A, Server::B, Server::C];

/// A server of the application, at work in a task of its own.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Client>,
}

impl Running {
    /// It finishes its round, and did everything it wanted to.
    async fn retire(self) -> Client {
        self.stop.cancel();
        let client = self.task.await.expect("it does not panic");
        assert!(client.report().failed.is_empty(), "{}", client.report());
        client
    }
}

/// Stores in which the application works, and for each of its servers how many rounds it has done.
struct World {
    stores: Stores,
    project: Project,
    rounds: [u32; 3],
}

impl World {
    /// As it is before the change.
    async fn new() -> Self {
        let stores = Stores::new().await;
        let project = stores.project();
        let goal = Goal { to: dunlin_core::Version::parse(BEFORE), ..Goal::default() };
        dunlin::up(&project, &goal, &mut |_| {}).await.expect("the stores are made");
        Self { stores, project, rounds: [0; 3] }
    }

    fn urls(&self) -> Urls {
        let [app, catalog, cache] = [&self.stores.app, &self.stores.catalog, &self.stores.cache]
            .map(|scratch| scratch.url.expose().to_owned());
        Urls { app, catalog, cache }
    }

    async fn client(&self, shape: Shape, server: Server) -> Client {
        let before = self.rounds[server as usize];
        Client::start(&self.urls(), shape, server, before).await.expect("the stores can be reached")
    }

    /// A server goes on with this version of its code.
    async fn deploy(&self, shape: Shape, server: Server) -> Running {
        let (stop, mut client) = (CancellationToken::new(), self.client(shape, server).await);
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                while !stop.is_cancelled() {
                    client.round().await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                client
            }
        });
        Running { stop, task }
    }

    async fn retire(&mut self, server: Server, running: Running) {
        let client = running.retire().await;
        let done = client.rounds() - self.rounds[server as usize];
        assert!(done > 5, "{server:?} did {done} rounds: that proves nothing");
        self.rounds[server as usize] = client.rounds();
    }

    /// Does rounds until so many are done.
    async fn work(&mut self, shape: Shape, server: Server, rounds: u32) {
        let mut client = self.client(shape, server).await;
        while client.rounds() < rounds {
            client.round().await;
        }
        assert!(client.report().failed.is_empty(), "{}", client.report());
        self.rounds[server as usize] = rounds;
    }

    async fn contract(&self, force: Option<&str>) -> Result<(), Stop> {
        let mut context = self.project.context(self.project.connect(&[]).await.expect("they can be reached"));
        context.force = force.map(Into::into);
        let (loaded, goal) = (self.project.load(), Goal { contract: true, ..Goal::default() });
        let planner = run::forward(&loaded.migrations, self.project.policy, &goal);
        run::run(&context, &planner, &mut |_| {}).await.1.map(drop)
    }

    async fn digest(&self) -> [Digest; 3] {
        digest::all(&self.urls()).await.expect("the stores can be read")
    }
}

/// What there is of each store, whatever the shape, where `still` has caught up with the rounds of `changed`.
async fn records(changed: &World, still: &mut World) -> [[(usize, String); 3]; 2] {
    for server in SERVERS {
        still.work(Shape::Old, server, changed.rounds[server as usize]).await;
    }
    [changed.digest().await, still.digest().await].map(|digests| digests.map(|it| (it.records, it.sum)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_every_shape_never_stop_and_every_record_is_as_if_nothing_had_been_changed() {
    let (mut changed, mut still) = (World::new().await, World::new().await);
    changed.work(Shape::Old, Server::B, 40).await;
    let (a, b) = (changed.deploy(Shape::Old, Server::A).await, changed.deploy(Shape::Old, Server::B).await);
    dunlin::up(&changed.project, &Goal::default(), &mut |_| {}).await.expect("it expands");

    changed.retire(Server::B, b).await;
    let (b, c) = (changed.deploy(Shape::Mixed, Server::B).await, changed.deploy(Shape::New, Server::C).await);
    let refused = changed.contract(None).await;
    assert!(matches!(refused, Err(Stop::InUse(_))), "the old keys are used: {refused:?}");
    changed.retire(Server::A, a).await;
    changed.contract(Some("b looks in both places")).await.expect("everything is in step");
    changed.retire(Server::B, b).await;
    let (a, b) = (changed.deploy(Shape::New, Server::A).await, changed.deploy(Shape::New, Server::B).await);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (server, running) in SERVERS.into_iter().zip([a, b, c]) {
        changed.retire(server, running).await;
    }
    assert_eq!(
        changed.digest().await.map(|store| store.shapes.0),
        [0; 3],
        "nothing is left of the old shape"
    );
    let [with, without] = records(&changed, &mut still).await;
    assert_eq!(with, without, "after the contract");

    let b = changed.deploy(Shape::Mixed, Server::B).await;
    back(&changed.project, 1).await;
    changed.retire(Server::B, b).await;
    assert_eq!(
        changed.digest().await.map(|store| store.shapes.1),
        [0; 3],
        "nothing is left of the new shape"
    );
    for server in SERVERS {
        changed.work(Shape::Old, server, changed.rounds[server as usize] + 20).await;
    }
    let [with, without] = records(&changed, &mut still).await;
    assert_eq!(with, without, "after the way back");
}

/// Why new code leaves old records alone until the contract, and that a lost value is seen.
#[tokio::test]
async fn what_is_written_to_the_new_place_alone_before_the_contract_is_lost_where_no_trigger_copies_it() {
    let (mut changed, mut still) = (World::new().await, World::new().await);
    changed.work(Shape::Old, Server::B, 40).await;
    dunlin::up(&changed.project, &Goal::default(), &mut |_| {}).await.expect("it expands");
    changed.work(Shape::New, Server::B, 60).await;
    changed.contract(Some("nobody does")).await.expect("the old place leads");
    let [with, without] = records(&changed, &mut still).await;
    assert_eq!(with[0], without[0], "triggers copy both ways");
    assert_ne!(with[1], without[1], "the old field led");
    assert_ne!(with[2], without[2], "the old key led");
}
