//! Clients with real sockets: how lanes that nobody drives are looked after.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
#[cfg(feature = "multi")]
use std::sync::atomic::Ordering;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;
use std::time::Duration;

use super::{Client, ClientConfig, Decision, Drive, Job, RequestConfig, SpawnInfo, Status};
use crate::client::questions::SpawnKind;
use crate::synca::sync::{lock, Arc};
use crate::valtron::{DoNext, NoAction, TaskIterator, TaskStatus, Wait};

/// Nothing here takes so long.
const LONG: Duration = Duration::from_secs(20);

/// A server that answers each head with nothing, and tells when a client has closed a connection.
fn server() -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (closed, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let closed = closed.clone();
            thread::spawn(move || answer(stream).map(|()| closed.send(())));
        }
    });
    (address, told)
}

fn answer(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    let (mut head, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut part)?;
        if count == 0 {
            return stream.shutdown(Shutdown::Both).or(Ok(()));
        }
        head.extend_from_slice(&part[..count]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        }
    }
}

fn client(idle_timeout: Duration) -> Client {
    Client::create(ClientConfig { idle_timeout: Some(idle_timeout), ..ClientConfig::default() }).expect("a client")
}

fn perform(client: &Client, server: SocketAddr) -> Status {
    let config = RequestConfig { url: format!("http://{server}/").into(), ..RequestConfig::default() };
    let (handle, status, _) = client.perform(config, 0, Some(LONG / 4)).expect("a request");
    client.request_free(handle);
    status
}

/// Another thread is in a wait.
fn sleeps(client: &Client) -> bool {
    match &client.0.drive {
        Drive::Inline(driven) => driven.lane.executor.is_asleep(),
        #[cfg(feature = "multi")]
        Drive::Workers { .. } => client.0.asleep.load(Ordering::SeqCst),
    }
}

fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        thread::yield_now();
    }
}

/// Holds its executor up until there is a passenger, and tells that it does.
struct HoldsUp(Client, Sender<()>);

impl TaskIterator for HoldsUp {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn next(&mut self) -> Option<TaskStatus<(), Wait, NoAction>> {
        let _ = self.1.send(());
        until(|| self.0 .0.host.passengers.count() > 0);
        // Enough for it to look once more and fall asleep. By the clock: under load some hundred yields take seconds.
        let begun = self.0 .0.clock_now();
        until(|| self.0 .0.clock_now().since(begun) >= Duration::from_millis(2));
        None
    }
}

/// Goal: a perform that is lent a lane just as another thread looks after it goes on when that thread has left. Method:
/// a task that holds the lane up until the perform waits for it.
#[test]
fn a_lane_that_is_looked_after_is_not_slept_for() {
    let (address, _told) = server();
    let client = client(LONG);
    assert_eq!(perform(&client, address), Status::Ok);
    for _ in 0..10 {
        let lane = client.0.spare.lanes().last().expect("a lane").clone();
        let (begins, begun) = channel();
        lane.lane.executor.spawn(DoNext::boxed(HoldsUp(client.clone(), begins), |()| {}));
        client.0.spare.make_due();
        let other = client.clone();
        let polls = thread::spawn(move || other.poll(Duration::ZERO));
        assert_eq!(begun.recv_timeout(LONG), Ok(()));
        assert_eq!(perform(&client, address), Status::Ok);
        polls.join().expect("no panic").expect("a poll");
    }
}

/// Goal: who sleeps does not sleep past the time of an idle connection that another thread's perform has left behind
/// meanwhile. Method: a wait without an end, in which nothing happens but that.
#[test]
fn a_sleeper_closes_what_a_perform_leaves() {
    let (address, told) = server();
    let client = client(Duration::from_millis(50));
    for _ in 0..2 {
        let other = client.clone();
        let waits = thread::spawn(move || other.wait(Some(LONG)));
        until(|| sleeps(&client));
        assert_eq!(perform(&client, address), Status::Ok);
        assert_eq!(told.recv_timeout(LONG / 2), Ok(()));
        client.wakeup();
        waits.join().expect("no panic").expect("a wait");
    }
}

/// Goal: however many lanes are to be looked after, a poll does it for one, and some polls for all. Method: the turns
/// that each lane has made.
#[test]
fn a_poll_looks_after_one_lane() {
    let (address, _told) = server();
    let client = client(LONG);
    let lanes: Vec<_> = (0..3)
        .map(|_| {
            assert_eq!(perform(&client, address), Status::Ok);
            client.0.lend().expect("a lane")
        })
        .collect();
    let turns = || -> Vec<_> { lanes.iter().map(|lane| lane.lane.executor.stats().turns).collect() };
    lanes.iter().for_each(|lane| client.0.spare(lane.clone()));
    client.0.spare.make_due();
    let before = turns();
    for polls in 1..10 {
        client.poll(Duration::ZERO).expect("a poll");
        let made: Vec<_> = turns().iter().zip(&before).map(|(now, before)| now - before).collect();
        assert_eq!((made.iter().sum::<u64>(), made.iter().max()), (polls.min(3), Some(&1)), "{made:?}");
    }
}

/// Goal: a poll waits for no thread that looks after a lane. Method: hold what such a thread holds.
#[test]
fn a_poll_does_not_wait_for_who_looks_after_a_lane() {
    let (address, _told) = server();
    let client = client(LONG);
    assert_eq!(perform(&client, address), Status::Ok);
    let lane = client.0.spare.lanes().last().expect("a lane").clone();
    let held = lane.lane.context.pool.hold();
    client.0.spare.make_due();
    let (answer, told) = channel();
    let other = client.clone();
    thread::spawn(move || answer.send(other.poll(Duration::ZERO).is_ok()));
    assert_eq!(told.recv_timeout(LONG / 2), Ok(true));
    drop(held);
}

/// Goal: a poll that could not come at the desk leaves its handle readable, for a host that sleeps on it. Method: a
/// look-up is to be asked about while another thread is at the desk; then a look at the handle's poller.
#[cfg(unix)]
#[test]
fn a_held_desk_leaves_the_handle_readable() {
    let (asks, asked) = channel();
    let asks = std::sync::Mutex::new(asks);
    let callback = move |_: &SpawnInfo, _: &Arc<Job>| {
        let _ = lock(&asks).send(());
        Decision::Deny
    };
    let client = Client::create(ClientConfig {
        spawn_ask: SpawnKind::Resolve as u32,
        spawn_callback: Some(Box::new(callback)),
        spawn_timeout: 2 * LONG,
        ..ClientConfig::default()
    })
    .expect("a client");
    client.wait_handle().expect("a handle");
    let config = RequestConfig { url: "http://name.test/".into(), total_timeout: None, ..RequestConfig::default() };
    client.request_create(config).expect("a request");
    let desk = &client.0.host.desk;
    let work_left = desk.held(|| loop {
        let asks = desk.has_unasked();
        let info = client.poll(Duration::ZERO).expect("a poll");
        if asks {
            return info.work_left;
        }
        thread::yield_now();
    });
    assert!(work_left && asked.try_recv().is_err());
    let poller = match &client.0.drive {
        Drive::Inline(driven) => driven.lane.executor.poller(),
        #[cfg(feature = "multi")]
        Drive::Workers { host_poller, .. } => host_poller.clone(),
    };
    let begun = client.0.clock_now();
    poller.wait(Some(LONG), &mut Vec::new()).expect("a wait");
    assert!(client.0.clock_now().since(begun) < LONG / 2);
    until(|| client.poll(Duration::ZERO).is_ok() && asked.try_recv().is_ok());
}
