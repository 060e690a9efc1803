//! lapin with nothing between: what `benches/tasks` holds RabbitMQ's client against.
//!
//! `bare_lapin publish AT_ONCE COUNT` publishes persistent messages of a task's size and waits for each one's confirmation, that
//! many at once; `bare_lapin consume PREFETCH` acknowledges one after another.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use quintette_benches::begin::{Failure, begin, ended, parameters};

const QUEUE: &str = "celery";
/// The headers of a call without options.
const HEADERS: [&str; 14] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "replaced_task_nesting",
];
const BODY: &[u8] =
    br#"[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]"#;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::var("CELERY_BROKER_URL")?.replace("5672//", "5672/%2f");
    let url = url
        .strip_suffix("//")
        .map_or(url.clone(), |url| format!("{url}/%2f"));
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let [command, how, count] = parameters();
    match command.as_str() {
        "publish" => {
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let properties = properties();
            begin();
            stream::iter(0..count.parse::<usize>()?)
                .map(Ok::<_, Failure>)
                .try_for_each_concurrent(how.parse::<usize>()?, |_| publish(&channel, &properties))
                .await?;
            ended()
        }
        "consume" => {
            channel
                .basic_qos(how.parse()?, BasicQosOptions::default())
                .await?;
            let options = BasicConsumeOptions::default();
            let mut consumer = channel
                .basic_consume(QUEUE.into(), "".into(), options, FieldTable::default())
                .await?;
            while let Some(delivery) = consumer.try_next().await? {
                delivery.ack(BasicAckOptions::default()).await?;
            }
            Ok(())
        }
        _ => Err("bare_lapin publish AT_ONCE COUNT | consume PREFETCH".into()),
    }
}

async fn publish(channel: &lapin::Channel, properties: &BasicProperties) -> Result<(), Failure> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirmation = channel
        .basic_publish("".into(), QUEUE.into(), options, BODY, properties.clone())
        .await?
        .await?;
    if confirmation.is_ack() {
        Ok(())
    } else {
        Err("not confirmed".into())
    }
}

fn properties() -> BasicProperties {
    let id = "0c4e5a52-1b7e-4f0e-9c1a-2f4a3b0e7d11";
    let mut headers = FieldTable::default();
    for header in HEADERS {
        headers.insert(header.into(), AMQPValue::LongString(id.into()));
    }
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_correlation_id(id.into())
        .with_reply_to(id.into())
        .with_priority(0)
}
