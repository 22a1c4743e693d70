// Command altagate is the authorization sidecar for streaming edges.
package main

import (
	"os"

	"github.com/altagate/altagate/pkg/cli"
)

// Set by release builds.
var version, commit string

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Build{Version: version, Commit: commit}))
}
