package preset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/altagate/altagate/pkg/check"
)

// smarty is /tvmiddleware/api/streamservice/token/check/ of Microimpuls Smarty. It
// checks the token, and beside it, where they are sent, the name of the content that
// the token was made for and the viewer's address. Its reply is JSON with an error
// that is 0 for a token that is good; the status that goes with another is not
// documented, so that both are looked at.
func smarty() Preset {
	return Preset{
		Name:    "smarty",
		Headers: alta(),
		Parameters: []Field{
			{"ip", Address},
			{"name", Stream},
		},
		Refusal: smartyRefusal,
		Words:   smartyWords,
	}
}

// smartyRefusal looks for an error that is not 0. What is no JSON refuses nothing:
// then the status decides.
func smartyRefusal(body []byte) error {
	switch code, found := smartyError(body); {
	case !found:
		return nil
	case code == "":
		return errors.New("the body has an error that is not 0")
	default:
		return fmt.Errorf("the body has error %s", code)
	}
}

func smartyWords(o check.Outcome, body []byte) string {
	code, found := smartyError(body)
	switch {
	case code == "1":
		return "error 1: the token has expired"
	case code == "2":
		return "error 2: the token was made for other content than the name that was sent"
	case code == "3":
		return "error 3: the token was made for another address than the ip that was sent"
	case found:
		return "the portal says that the token is not good, by an error that its documentation does not have"
	case o.Verdict == check.Allowed && !bytes.Contains(body, []byte(`"error"`)):
		return "the body has no error to read, so the status decided: is this the portal's own answer, or another page's?"
	case o.Verdict == check.Allowed:
		return "error 0: the token is good"
	default:
		return ""
	}
}

// smartyError finds an "error" that is not 0 in a body: in any JSON object that is
// not part of another, whatever stands around it, such as a byte order mark or a
// warning of PHP's, and whether or not the object is whole. Of several any counts.
// code is the error where it is a whole number of a few digits, and else empty.
func smartyError(body []byte) (code string, found bool) {
	for {
		at := bytes.IndexByte(body, '{')
		if at < 0 {
			return "", false
		}
		body = body[at:]
		code, found, read := errorOf(body)
		if found {
			return code, true
		}
		body = body[read:]
	}
}

// errorOf looks into the object at the beginning of text, and tells how much was
// read of it, at least the "{".
func errorOf(text []byte) (code string, found bool, read int64) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	depth, name, expectsName := 0, "", true
	for {
		token, err := d.Token()
		if err != nil {
			return "", false, max(d.InputOffset(), 1)
		}
		delimiter, isDelimiter := token.(json.Delim)
		switch {
		case depth == 1 && expectsName && !isDelimiter:
			name, _ = token.(string)
			expectsName = false
		case depth == 1 && !expectsName:
			if strings.EqualFold(name, "error") && !isZero(token) {
				return shortNumber(token), true, 0
			}
			expectsName = true
		}
		switch {
		case !isDelimiter:
		case delimiter == '{' || delimiter == '[':
			depth++
		default:
			depth--
		}
		if depth == 0 {
			return "", false, d.InputOffset()
		}
	}
}

// isZero takes what PHP and JavaScript take for no error: 0 in any spelling, also in
// quotes, null, false and an empty text.
func isZero(token json.Token) bool {
	switch v := token.(type) {
	case nil:
		return true
	case bool:
		return !v
	case json.Number:
		return isZeroNumber(v.String())
	case string:
		v = strings.TrimSpace(v)
		return v == "" || isZeroNumber(v)
	default:
		return false
	}
}

func isZeroNumber(text string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	return strings.Contains(mantissa, "0") && strings.Trim(mantissa, "+-.0") == ""
}

// shortNumber is what can be shown: other text might hold the token.
func shortNumber(token json.Token) string {
	text := fmt.Sprint(token)
	if len(text) > 6 || strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}
