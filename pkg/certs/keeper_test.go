package certs

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/test/pki"
)

// kept is a pair in files with its keeper, and how often a set was put.
type kept struct {
	dir       string
	authority *pki.Authority
	keeper    *Keeper
	put       []*Set
}

func keep(t *testing.T) *kept {
	t.Helper()
	k := &kept{dir: t.TempDir(), authority: pki.New(t, "one")}
	k.write(t, k.authority.Issue(t, pki.Leaf{Names: []string{"first"}}))
	files := Files{Cert: k.dir + "/tls.crt", Key: k.dir + "/tls.key", CA: pki.Put(t, k.dir, "ca.crt", k.authority.PEM)}
	set, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	k.keeper = Keep(files, set, func(s *Set) { k.put = append(k.put, s) })
	return k
}

func (k *kept) write(t *testing.T, p pki.Pair) {
	t.Helper()
	pki.Put(t, k.dir, "tls.crt", p.Cert)
	pki.Put(t, k.dir, "tls.key", p.Key)
}

// look looks twice, since only what was read twice counts.
func (k *kept) look(t *testing.T) (changed bool, err error) {
	t.Helper()
	if changed, err := k.keeper.Look(); changed || err != nil {
		t.Fatalf("one reading was enough: %v %v", changed, err)
	}
	return k.keeper.Look()
}

func TestANewPairIsPutInForce(t *testing.T) {
	k := keep(t)
	if changed, err := k.look(t); changed || err != nil {
		t.Fatalf("nothing changed, and yet %v %v", changed, err)
	}
	k.write(t, k.authority.Issue(t, pki.Leaf{Names: []string{"second"}}))
	changed, err := k.look(t)
	if !changed || err != nil || len(k.put) != 1 || k.put[0].Pair.Leaf.DNSNames[0] != "second" {
		t.Fatalf("%v %v %v", changed, err, k.put)
	}
	if !k.keeper.NotAfter().Equal(k.put[0].NotAfter()) {
		t.Error("it tells the end of another certificate")
	}
}

func TestWhatIsBrokenLeavesTheOldInForceAndIsToldOnce(t *testing.T) {
	other := pki.New(t, "other")
	for name, test := range map[string]struct {
		file string
		data []byte
		says string
	}{
		"a key of another": {"tls.key", other.Issue(t, pki.Leaf{}).Key, "private key does not match"},
		"half a file":      {"tls.crt", []byte("-----BEGIN CERTIFICATE-----\nMIIB"), "cannot be used"},
		"an empty file":    {"tls.crt", nil, "is empty"},
		"no authority":     {"ca.crt", []byte("text"), "has no certificate"},
	} {
		k := keep(t)
		before, err := os.ReadFile(k.dir + "/" + test.file)
		if err != nil {
			t.Fatal(err)
		}
		pki.Put(t, k.dir, test.file, test.data)
		if changed, err := k.look(t); !changed || err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v %v", name, changed, err)
		}
		if changed, err := k.look(t); changed || err != nil || len(k.put) != 0 {
			t.Errorf("%s: told again: %v %v", name, changed, err)
		}
		pki.Put(t, k.dir, test.file, before)
		if changed, err := k.look(t); !changed || err != nil || len(k.put) != 1 {
			t.Errorf("%s: what was mended is not in force: %v %v", name, changed, err)
		}
	}
}

func TestACertificateThatRanOutReplacesNone(t *testing.T) {
	k := keep(t)
	k.write(t, k.authority.Issue(t, pki.Leaf{Expired: true}))
	if changed, err := k.look(t); !changed || err == nil || !strings.Contains(err.Error(), "ran out at") || len(k.put) != 0 {
		t.Errorf("%v %v", changed, err)
	}
}

func TestACertificateThatIsNotYetGoodReplacesNoneUntilItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.write(t, k.authority.Issue(t, pki.Leaf{Names: []string{"second"}, From: time.Now().Add(10 * time.Minute)}))
		if changed, err := k.look(t); !changed || err == nil || !strings.Contains(err.Error(), "is good from ") || len(k.put) != 0 {
			t.Fatalf("%v %v", changed, err)
		}
		<-time.After(9 * time.Minute)
		if changed, err := k.look(t); changed || err != nil || len(k.put) != 0 {
			t.Fatalf("a minute too early: %v %v", changed, err)
		}
		<-time.After(time.Minute)
		if changed, err := k.keeper.Look(); !changed || err != nil || len(k.put) != 1 || k.put[0].Pair.Leaf.DNSNames[0] != "second" {
			t.Fatalf("in its time: %v %v", changed, err)
		}
		if changed, err := k.look(t); changed || err != nil || len(k.put) != 1 {
			t.Errorf("told again: %v %v", changed, err)
		}
	})
}

func TestACertificateThatIsNotYetGoodGivesWayToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keep(t)
		k.write(t, k.authority.Issue(t, pki.Leaf{Names: []string{"second"}, From: time.Now().Add(10 * time.Minute)}))
		if changed, err := k.look(t); !changed || err == nil {
			t.Fatalf("%v %v", changed, err)
		}
		k.write(t, k.authority.Issue(t, pki.Leaf{Names: []string{"third"}}))
		if changed, err := k.look(t); !changed || err != nil {
			t.Fatalf("%v %v", changed, err)
		}
		<-time.After(time.Hour)
		if changed, err := k.look(t); changed || err != nil || len(k.put) != 1 || k.put[0].Pair.Leaf.DNSNames[0] != "third" {
			t.Errorf("%v %v, %d put", changed, err, len(k.put))
		}
	})
}

func TestAFileThatIsGoneChangesNothing(t *testing.T) {
	k := keep(t)
	if err := os.Remove(k.dir + "/tls.key"); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.look(t); !changed || err == nil || !strings.Contains(err.Error(), "reading key: ") || len(k.put) != 0 {
		t.Errorf("%v %v", changed, err)
	}
}

func TestAPairIsNotTakenHalfWritten(t *testing.T) {
	k := keep(t)
	next := k.authority.Issue(t, pki.Leaf{Names: []string{"second"}})
	pki.Put(t, k.dir, "tls.crt", next.Cert)
	if changed, err := k.keeper.Look(); changed || err != nil {
		t.Fatalf("%v %v", changed, err)
	}
	pki.Put(t, k.dir, "tls.key", next.Key)
	if changed, err := k.look(t); !changed || err != nil || len(k.put) != 1 {
		t.Errorf("%v %v", changed, err)
	}
}

func TestFilesThatCannotBeReadSayWhich(t *testing.T) {
	dir := t.TempDir()
	pair := pki.New(t, "one").Issue(t, pki.Leaf{})
	cert, key := pki.Put(t, dir, "a.crt", pair.Cert), pki.Put(t, dir, "a.key", pair.Key)
	long := pki.Put(t, dir, "long", make([]byte, maxFile+1))
	for _, test := range []struct {
		files Files
		says  string
	}{
		{Files{Cert: cert}, "go together"},
		{Files{Key: key}, "go together"},
		{Files{Cert: dir + "/none", Key: key}, "reading certificate: "},
		{Files{Cert: cert, Key: dir}, "is no regular file"},
		{Files{CA: long}, "is longer than 1 MiB"},
		{Files{Cert: key, Key: cert}, "cannot be used"},
	} {
		if _, err := Read(test.files); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%v: %v", test.files, err)
		}
	}
	if s, err := Read(Files{}); err != nil || s.Pair != nil || s.Authorities != nil || !s.NotAfter().IsZero() {
		t.Errorf("no files: %v %v", s, err)
	}
}
