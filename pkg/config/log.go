package config

func readLog(v value) Log {
	log := defaultLog()
	keys := v.section("log: {level: info, format: json}", "level", "format")
	if level, ok := keys["level"].oneOf("debug", "info", "warn", "error"); ok {
		log.Level = level
	}
	if format, ok := keys["format"].oneOf("json", "console"); ok {
		log.Format = format
	}
	return log
}
