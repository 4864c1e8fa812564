<?php

// Verifies the result that a person brings to the platform's return URL. PHP 7.3 or later, nothing to install.
//
//     php verify_result.php KEY_FILE FOXDEN_RESULT
//
// Prints the result as JSON, or ends with 1. docs/grants.md describes the form.

declare(strict_types=1);

const OLDEST = 300;
const AHEAD = 60;

function base64url(string $text): string
{
    $bytes = base64_decode(strtr($text, '-_', '+/'), true);
    if ($bytes === false) {
        throw new RuntimeException('this is no result');
    }
    return $bytes;
}

/** Answers what was signed, or throws. */
function verifyResult(string $key, string $parameter, int $now): array
{
    $parts = explode('.', $parameter);
    if (count($parts) !== 3 || $parts[0] !== 'FXR1') {
        throw new RuntimeException('this is no result');
    }
    $expected = hash_hmac('sha256', "$parts[0].$parts[1]", $key, true);
    if (!hash_equals($expected, base64url($parts[2]))) {
        throw new RuntimeException('the signature is wrong');
    }
    $result = json_decode(base64url($parts[1]), true, 512, JSON_THROW_ON_ERROR);
    if ($result['time'] < $now - OLDEST || $result['time'] > $now + AHEAD) {
        throw new RuntimeException('the result is too old, or the clocks differ');
    }
    return $result;
}

[, $keyFile, $parameter] = $argv;
try {
    $key = trim(file_get_contents($keyFile), " \t\r\n\f");
    echo json_encode(verifyResult($key, $parameter, time()), JSON_THROW_ON_ERROR), "\n";
} catch (RuntimeException | JsonException $error) {
    fwrite(STDERR, 'refused: ' . $error->getMessage() . "\n");
    exit(1);
}
