<?php

// Publishes a signup event with php-amqplib.
//
//     composer require php-amqplib/php-amqplib
//     php publish.php amqp://user:password@localhost foxden signup signup.json
//
// Ends with 0 only when the broker has the event in a queue. When in doubt run it again: a repeat does no harm.

declare(strict_types=1);

require __DIR__ . '/vendor/autoload.php';

use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;

function publish(string $url, string $exchange, string $routingKey, string $body): void
{
    $at = parse_url($url);
    $connection = new AMQPStreamConnection(
        $at['host'],
        $at['port'] ?? 5672,
        urldecode($at['user'] ?? 'guest'),
        urldecode($at['pass'] ?? 'guest'),
        // "amqp://host" is the virtual host "/"; in "amqp://host/name" it is "name".
        isset($at['path']) ? urldecode(substr($at['path'], 1)) : '/'
    );
    try {
        $channel = $connection->channel();
        $channel->confirm_select();
        $problem = null;
        $channel->set_nack_handler(function () use (&$problem) {
            $problem = 'the broker refused the event';
        });
        // The broker returns what no queue takes, before it confirms it.
        $channel->set_return_listener(function () use (&$problem) {
            $problem = 'no queue takes the event: has a worker declared it yet?';
        });
        $message = new AMQPMessage($body, [
            'content_type' => 'application/json',
            'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
            'message_id' => json_decode($body, true, 512, JSON_THROW_ON_ERROR)['signup_id'],
        ]);
        $channel->basic_publish($message, $exchange, $routingKey, true);
        // Throws when there is no answer within 30 seconds.
        $channel->wait_for_pending_acks_returns(30);
        if ($problem !== null) {
            throw new RuntimeException($problem);
        }
    } finally {
        $connection->close();
    }
}

[, $url, $exchange, $routingKey, $file] = $argv;
publish($url, $exchange, $routingKey, file_get_contents($file));
