package preset

// custom is any backend that is asked as Cesbo Alta asks its own.
func custom() Preset { return Preset{Name: Custom, Headers: alta()} }

// alta are the five headers of Alta's contract, in its spelling.
func alta() []Field {
	return []Field{
		{"X-Session-Id", Session},
		{"X-Real-Ip", Address},
		{"X-Real-Path", Path},
		{"X-Real-Origin", Origin},
		{"X-Real-Ua", UserAgent},
	}
}
