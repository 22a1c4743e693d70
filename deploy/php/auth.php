<?php
// An example backend: the token 123 may watch, everybody else may not.
//
//   php -S 127.0.0.1:6000 deploy/php/auth.php
//   altagate serve --backend http://127.0.0.1:6000/
//
// altagate asks as Cesbo Alta does: GET, with the viewer's own query and five
// headers. Status 200 allows; any other denies.

// What was asked goes to the log. The query does not: it holds the token.
$asked = [];
foreach (['X-Session-Id', 'X-Real-Ip', 'X-Real-Path', 'X-Real-Origin', 'X-Real-Ua'] as $name) {
    $asked[$name] = $_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? null;
}
error_log('asked ' . json_encode($asked, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE));

// "?token[]=123" is an array in PHP, and not the token.
$allowed = ($_GET['token'] ?? null) === '123';
http_response_code($allowed ? 200 : 403);

// No body: altagate reads the status only.
header('Content-Length: 0');
