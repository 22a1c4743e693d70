package config

// maxRedirect is the longest URL in bytes that fits the header buffers of proxies.
const maxRedirect = 1024

const exampleRedirect = "https://promo.example.com/index.m3u8"

// readRedirect reads where a route sends viewers. The URL is the operator's alone, so it
// goes to them as it is.
func readRedirect(v value) string {
	text, ok := v.text()
	if !ok {
		return ""
	}
	u, err := parseURL(text)
	switch {
	case text == "":
		v.wrong("is empty: write a URL, as in %s, or leave the key out", exampleRedirect)
	case text[0] == '/':
		v.wrong("is a path: write a whole URL, as in %s", exampleRedirect)
	case err != nil:
		v.wrong("%v", err)
	case u.User != nil:
		v.wrong("has a user or a password in it, which every viewer would get")
	case len(text) > maxRedirect:
		v.wrong("is longer than %d bytes", maxRedirect)
	default:
		return text
	}
	return ""
}
