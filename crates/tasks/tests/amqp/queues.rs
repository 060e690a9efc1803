use quintette_tasks::brokers::{AmqpBroker, Broker, BrokerErrorKind, Destination, Exchange};

use crate::support::{broker, consume, message, numbers, queue, send, shared, take, waiting};

#[tokio::test]
async fn a_queue_is_declared_by_the_first_message_and_can_be_purged() {
    let broker = broker();
    let queue = queue("purged");
    assert_eq!(broker.waiting(&queue.name).await.unwrap(), 0);
    assert_eq!(broker.purge(&queue.name).await.unwrap(), 0);
    send(&broker, &queue, 0..7).await;
    waiting(&broker, &queue, 7).await;
    assert_eq!(broker.purge(&queue.name).await.unwrap(), 7);
    waiting(&broker, &queue, 0).await;
}

#[tokio::test]
async fn a_queue_of_other_properties_is_refused_by_name_with_what_differs() {
    let broker = broker();
    let mut queue = queue("differs");
    broker.declare(&queue).await.unwrap();
    queue.max_priority = Some(9);
    let error = broker.declare(&queue).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains(&queue.name) && text.contains("x-max-priority"),
        "{text}"
    );
    // And those who use the same connection are not harmed.
    queue.max_priority = None;
    send(&broker, &queue, 0..1).await;
}

#[tokio::test]
async fn a_message_that_no_queue_takes_is_an_error_unless_it_may_be_dropped() {
    let broker = broker();
    let queue = queue("unroutable");
    let mut to = Destination {
        routing_key: queue.name.clone(),
        ..Destination::default()
    };
    let error = broker.publish(&message(0), &to).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unroutable, "{error}");
    to.may_be_dropped = true;
    broker.publish(&message(0), &to).await.unwrap();
    to.exchange = Exchange {
        name: format!("{}-exchange", queue.name),
        ..Exchange::default()
    };
    broker.publish(&message(0), &to).await.unwrap();
}

#[tokio::test]
async fn the_higher_priority_comes_first() {
    let broker = broker();
    let mut queue = queue("priorities");
    queue.max_priority = Some(9);
    let to = Destination::queue(queue.clone());
    for priority in [0, 9, 3, 6] {
        let mut message = message(priority.into());
        message.properties.priority = Some(priority);
        broker.publish(&message, &to).await.unwrap();
    }
    let mut consumer = consume(&broker, &queue, 0).await;
    assert_eq!(numbers(&take(&mut consumer, 4).await), [9, 6, 3, 0]);
}

#[tokio::test]
async fn what_the_url_gets_wrong_is_refused_and_not_waited_for() {
    let place = shared().address();
    for (login, vhost) in [
        ("guest:hunter2", ""),
        ("nobody:hunter%32", ""),
        ("guest:guest", "hunter-no-such-place"),
    ] {
        let broker = AmqpBroker::new(&format!("amqp://{login}@{place}/{vhost}")).unwrap();
        let error = broker.declare(&queue("refused")).await.unwrap_err();
        assert_eq!(
            error.kind(),
            BrokerErrorKind::Refused,
            "{login} {vhost}: {error}"
        );
        let text = format!("{error} {error:?} {broker:?}");
        assert!(
            text.contains(&place.to_string()) && !text.contains("hunter2"),
            "{text}"
        );
    }
}
