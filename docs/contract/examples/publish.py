"""Publishes a signup event with pika.

    pip install pika
    python3 publish.py amqp://user:password@localhost foxden signup signup.json

Ends with 0 only when the broker has the event in a queue. When in doubt run it again: a repeat does no harm.
"""

import json
import sys

import pika


def publish(url, exchange, routing_key, body):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        # From now on a publish waits for the broker, and raises what it refuses.
        channel.confirm_delivery()
        channel.basic_publish(
            exchange,
            routing_key,
            body,
            pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=json.loads(body)["signup_id"],
            ),
            # An event that no queue takes comes back as an error.
            mandatory=True,
        )
    finally:
        connection.close()


if __name__ == "__main__":
    url, exchange, routing_key, path = sys.argv[1:]
    with open(path, "rb") as file:
        publish(url, exchange, routing_key, file.read())
