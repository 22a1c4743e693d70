package config

import (
	"bytes"
	_ "embed"
)

//go:embed example.yaml
var example []byte

//go:embed schema.json
var schema []byte

// Example is an annotated config with every key, its default and its unit. It
// is a valid config as it stands; the keys that are optional are commented
// out, as "#key: value".
func Example() []byte { return bytes.Clone(example) }

// Schema is the JSON Schema (draft 2020-12) of the config, for editors. It
// knows every key and refuses others, but not every rule of Parse: what takes
// two keys to see, such as a route that names a backend, only Parse does.
func Schema() []byte { return bytes.Clone(schema) }
