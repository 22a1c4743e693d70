package config

import (
	"errors"
	"strings"

	"github.com/altagate/altagate/pkg/securetoken"
)

// SecureToken says how a route checks tokens that prove by themselves that a viewer
// may watch.
type SecureToken struct {
	// Kind is TokenAlta or TokenSecureLink; "" means that there is no such check.
	Kind TokenKind
	// Secrets are those of who makes the tokens: all are good. At least one, at most
	// MaxKeys, different. LoadTokenSecrets gives them.
	Secrets []Key
	// Expression is nginx's secure_link_md5 with $secret in place of the secret, and
	// Hash and Expires are the parameters that carry a link. "" for other kinds.
	Expression, Hash, Expires string
}

// TokenKind is who makes the tokens.
type TokenKind string

// The values of kind.
const (
	// TokenAlta is Cesbo Alta's securetoken.
	TokenAlta TokenKind = "alta"
	// TokenSecureLink is nginx's secure_link.
	TokenSecureLink TokenKind = "secure_link"
)

const (
	exampleToken = "secure_token: {kind: alta, secrets: [file:/etc/altagate/token]}" //nolint:gosec // An example.
	// goodTokenSecret is how many bytes a secret has that nobody guesses from a token.
	goodTokenSecret = 16
	maxExpression   = 1024
)

func readSecureToken(v value) SecureToken {
	keys := v.section(exampleToken, "kind", "secrets", "expression", "parameters")
	v.need(keys, "kind", "does not say who makes the tokens: write kind: alta or kind: secure_link")
	v.need(keys, "secrets", "has no secrets: write secrets: [file:/etc/altagate/token]")
	var t SecureToken
	if kind, ok := keys["kind"].oneOf(string(TokenAlta), string(TokenSecureLink)); ok {
		t.Kind = TokenKind(kind)
	}
	t.Secrets = readSecrets(keys["secrets"], "secrets: [file:/etc/altagate/token]", 1)
	if t.Kind == TokenSecureLink {
		t.Expression, t.Hash, t.Expires = securetoken.DefaultExpression, securetoken.DefaultHash, securetoken.DefaultExpires
		readExpression(keys["expression"], &t)
		readParameters(keys["parameters"], &t)
		return t
	}
	for _, name := range []string{"expression", "parameters"} {
		if keys[name].present() && t.Kind != "" {
			keys[name].wrong("is for kind: secure_link: Alta's tokens have one form only")
		}
	}
	return t
}

// readExpression shows nothing of an expression: the secret may still be in it.
func readExpression(v value, t *SecureToken) {
	text, ok := v.text()
	if !ok {
		return
	}
	if len(text) > maxExpression {
		v.wrong("is longer than %d bytes", maxExpression)
		return
	}
	if _, err := securetoken.SecureLink(nil, text, t.Hash, t.Expires); err != nil {
		v.wrong("%v: write it as nginx's secure_link_md5, with $secret in place of the secret, as in %s", err, securetoken.DefaultExpression)
		return
	}
	t.Expression = text
}

func readParameters(v value, t *SecureToken) {
	items := v.list("parameters: [md5, expires]")
	if v.present() && len(items) != 2 {
		v.wrong("must be two: that with the hash, then that with the time, as in parameters: [md5, expires]")
		return
	}
	var names []string
	for _, item := range items {
		name, ok := item.text()
		switch {
		case !ok:
		case name == "" || len(name) > maxName || strings.ContainsFunc(name, isNoParameterRune):
			item.wrong("%s is no name of a parameter: write letters, digits and _, as in md5 for nginx's $arg_md5", quote(name))
		default:
			names = append(names, name)
		}
	}
	if len(names) != 2 {
		return
	}
	if strings.EqualFold(names[0], names[1]) {
		v.wrong("has the same name twice")
		return
	}
	t.Hash, t.Expires = names[0], names[1]
}

func isNoParameterRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
}

// LoadTokenSecrets gives the secrets of a route's tokens in their order, and reads the
// files among them. The error says which entry is wrong, and shows no secret.
func LoadTokenSecrets(t SecureToken) ([][]byte, error) {
	return loadSecrets("secure_token.secrets", t.Secrets, 1)
}

// weakToken tells whether a route has a token whose secret could be guessed by who has
// one token. A file that cannot be read is LoadTokenSecrets' to report.
func weakToken(r Route) bool {
	for _, k := range r.SecureToken.Secrets {
		secret := []byte(k.Text)
		if k.File != "" {
			var err error
			if secret, err = readSecret(k.File, 1); err != nil {
				continue
			}
		}
		if len(secret) < goodTokenSecret {
			return true
		}
	}
	return false
}

var errEmptySecret = errors.New("is empty: write the secret of who makes the tokens")
