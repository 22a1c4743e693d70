<?php
// The cheapest backend that PHP can be: it allows everybody.
http_response_code(200);
