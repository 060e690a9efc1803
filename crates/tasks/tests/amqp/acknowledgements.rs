use crate::support::{broker, consume, is_silent, numbers, queue, send, tags, take, waiting};

#[tokio::test]
async fn what_is_acknowledged_is_gone_and_the_rest_comes_again() {
    let broker = broker();
    let queue = queue("acks");
    send(&broker, &queue, 0..10).await;
    let mut consumer = consume(&broker, &queue, 0).await;
    let taken = take(&mut consumer, 10).await;
    assert_eq!(numbers(&taken), (0..10).collect::<Vec<_>>());
    assert!(taken.iter().all(|delivery| !delivery.redelivered));
    let channel = consumer.channel();
    // The beginning, one amid the rest, and one twice, which would close the channel.
    channel.ack(&tags(&taken[..3])).await.unwrap();
    channel.ack(&[taken[6].tag]).await.unwrap();
    channel.ack(&[taken[6].tag, taken[0].tag]).await.unwrap();
    drop((consumer, channel));
    waiting(&broker, &queue, 6).await;

    let mut consumer = consume(&broker, &queue, 0).await;
    let again = take(&mut consumer, 6).await;
    assert_eq!(numbers(&again), [3, 4, 5, 7, 8, 9]);
    assert!(again.iter().all(|delivery| delivery.redelivered));
}

#[tokio::test]
async fn what_is_requeued_comes_again_and_what_is_rejected_does_not() {
    let broker = broker();
    let queue = queue("requeue");
    send(&broker, &queue, 0..4).await;
    let mut consumer = consume(&broker, &queue, 4).await;
    let taken = take(&mut consumer, 4).await;
    let channel = consumer.channel();
    channel.reject(taken[0].tag).await.unwrap();
    channel.requeue(&tags(&taken[1..3])).await.unwrap();
    let mut again = numbers(&take(&mut consumer, 2).await);
    again.sort_unstable();
    assert_eq!(again, [1, 2]);
    assert!(is_silent(&mut consumer).await);
}

#[tokio::test]
async fn no_more_is_held_than_was_asked_for_and_that_can_change() {
    let broker = broker();
    let queue = queue("prefetch");
    send(&broker, &queue, 0..20).await;
    let mut consumer = consume(&broker, &queue, 5).await;
    let taken = take(&mut consumer, 5).await;
    assert!(is_silent(&mut consumer).await);
    let channel = consumer.channel();
    channel.ack(&tags(&taken[..2])).await.unwrap();
    take(&mut consumer, 2).await;
    assert!(is_silent(&mut consumer).await);
    channel.set_prefetch(8).await.unwrap();
    take(&mut consumer, 3).await;
    assert!(is_silent(&mut consumer).await);
    channel.set_prefetch(0).await.unwrap();
    take(&mut consumer, 10).await;
}

#[tokio::test]
async fn a_consumer_that_is_dropped_gives_back_what_it_did_not_take_and_keeps_what_it_did() {
    let broker = broker();
    let queue = queue("dropped");
    send(&broker, &queue, 0..5).await;
    let mut consumer = consume(&broker, &queue, 3).await;
    let taken = take(&mut consumer, 3).await;
    let channel = consumer.channel();
    channel.ack(&tags(&taken[..1])).await.unwrap();
    drop(consumer);
    // One was acknowledged, and two are held.
    waiting(&broker, &queue, 2).await;
    channel.ack(&tags(&taken[1..])).await.unwrap();
    drop(channel);
    waiting(&broker, &queue, 2).await;
}

#[tokio::test]
async fn queues_are_added_and_cancelled_while_it_consumes() {
    let broker = broker();
    let (one, other) = (queue("one"), queue("other"));
    let mut consumer = consume(&broker, &one, 0).await;
    let channel = consumer.channel();
    send(&broker, &other, 0..3).await;
    channel.add_queue(&other).await.unwrap();
    let taken = take(&mut consumer, 3).await;
    assert!(taken.iter().all(|delivery| *delivery.queue == *other.name));
    channel.cancel_queue(&other.name).await.unwrap();
    send(&broker, &other, 3..5).await;
    send(&broker, &one, 5..6).await;
    assert_eq!(numbers(&take(&mut consumer, 1).await), [5]);
    assert!(is_silent(&mut consumer).await);
    channel.ack(&tags(&taken)).await.unwrap();
    waiting(&broker, &other, 2).await;
}
