//! What is under way on a wire.

use std::time::Duration;

use dunlin_core::StoreUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::Wire;

/// A wire, and the server's end of it.
fn wire() -> (Wire, DuplexStream) {
    let (stream, server) = duplex(1 << 20);
    (Wire::new(Box::new(stream), StoreUrl::new("redis://nobody"), Duration::from_secs(5)), server)
}

/// All that comes until nothing comes any more.
async fn arrived(server: &mut DuplexStream) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut all = 0;
    while let Ok(count) = tokio::time::timeout(Duration::from_millis(50), server.read(&mut buffer)).await {
        all += count.unwrap();
    }
    all
}

#[tokio::test]
async fn no_more_is_under_way_than_the_window_holds() {
    let (mut wire, mut server) = wire();
    wire.narrow(Some(1000));
    // 14 bytes each.
    (0..500).for_each(|_| wire.push(&[b"PING"]));
    let serving = tokio::spawn(async move {
        let mut most = 0;
        let mut answered = 0;
        let mut received = 0;
        while answered < 500 {
            received += arrived(&mut server).await;
            let whole = received / 14;
            most = most.max(received - answered * 14);
            server.write_all(&b"+PONG\r\n".repeat(whole - answered)).await.unwrap();
            answered = whole;
        }
        most
    });
    wire.flush().await.unwrap();
    for _ in 0..500 {
        wire.answer().await.unwrap();
    }
    assert!(wire.is_idle());
    let most = serving.await.unwrap();
    assert!((900..=1000).contains(&most), "{most} bytes");
}

#[tokio::test]
async fn a_command_larger_than_the_window_is_sent_all_the_same() {
    let (mut wire, mut server) = wire();
    wire.narrow(Some(1000));
    let value = vec![b'x'; 100_000];
    wire.push(&[b"PING"]);
    wire.push(&[b"SET", b"a", &value]);
    let serving = tokio::spawn(async move {
        let mut all = 0;
        while all < 100_000 {
            all += arrived(&mut server).await;
            if all < 100_000 {
                server.write_all(b"+PONG\r\n").await.unwrap();
            }
        }
        server.write_all(b"+OK\r\n").await.unwrap();
    });
    wire.flush().await.unwrap();
    assert_eq!(wire.answer().await.unwrap().text().as_deref(), Some("PONG"));
    assert_eq!(wire.answer().await.unwrap().text().as_deref(), Some("OK"));
    serving.await.unwrap();
}
