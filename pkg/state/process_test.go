package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/session"
)

// A test that needs another process runs its own binary as one.
const roleVariable = "ALTAGATE_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func(path string) error{"hold": hold, "write": writeOn, "full": fillUp}
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(os.Args[1]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is another process in a role. It ends when its stdin does.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func spawn(t *testing.T, role, path string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self, path)}
	c.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

// line is the next line that the child prints; empty when there is none.
func (c *child) line() string {
	c.lines.Scan()
	return c.lines.Text()
}

// kill is kill -9. It returns when the process is gone.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func hold(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return f.Close()
}

func TestTwoProcessesCannotUseOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	other := spawn(t, "hold", path)
	if got := other.line(); got != "open" {
		t.Fatal(got)
	}
	before := bytesOf(t, path)
	_, err := Open(path)
	if !errors.Is(err, ErrInUse) || err.Error() != path+" is in use by another process: stop that one, or name another file" {
		t.Error(err)
	}
	if string(before) != string(bytesOf(t, path)) {
		t.Error("the file changed")
	}
	other.kill()
	save(t, open(t, path), viewings(0, 1))
}

func TestAFileIsFreeAgainWhenItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := open(t, path)
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	save(t, reopen(t, f), viewings(0, 1))
}

// perWrite is how many sessions each write of writeOn replaces, all with the
// number of the write.
const perWrite = 20

// writeOn writes on from what the file has until it is killed, and says of each
// write that it is done.
func writeOn(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	records, _, _, err := f.Load()
	if err != nil {
		return err
	}
	number := uint64(0)
	for _, r := range records {
		number = max(number, r.Requests)
	}
	for {
		number++
		batch := viewings(0, perWrite)
		for i := range batch {
			batch[i].Requests = number
			batch[i].Query = strings.Repeat("q", int(number*37%3000))
		}
		if err := f.Save(batch, nil); err != nil {
			return err
		}
		fmt.Println("saved", number)
		user := strconv.FormatUint(number, 10)
		if err := f.Revoke([]session.Revocation{{User: user, Until: time.Now().Add(time.Hour)}}, nil); err != nil {
			return err
		}
		fmt.Println("revoked", number)
	}
}

func TestKill9LosesNothingThatWasAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	saved := uint64(0)
	var ends []string
	heard := func(line string) {
		word, number, _ := strings.Cut(line, " ")
		n, err := strconv.ParseUint(number, 10, 64)
		switch {
		case err != nil:
			t.Fatalf("the child said %q", line)
		case word == "saved":
			saved = n
		default:
			ends = append(ends, number)
		}
	}
	for round := range 25 {
		c := spawn(t, "write", path)
		// Rounds differ in when the blow falls.
		for range 1 + round*7%23 {
			heard(c.line())
		}
		_ = c.cmd.Process.Kill()
		for line := c.line(); line != ""; line = c.line() {
			heard(line)
		}
		c.kill()

		f := open(t, path)
		now := load(t, f)
		revoked := map[string]bool{}
		for _, r := range now.Revocations {
			revoked[r.User] = true
		}
		for _, user := range ends {
			if !revoked[user] {
				t.Fatalf("round %d: the end for user %s was answered and is lost", round, user)
			}
		}
		if len(now.Records) != perWrite {
			t.Fatalf("round %d: %d sessions", round, len(now.Records))
		}
		for _, r := range now.Records {
			if r.Requests < saved || r.Requests > saved+1 || r.Requests != now.Records[0].Requests {
				t.Fatalf("round %d: write %d was the last that was answered, and a session has %d, another %d", round, saved, r.Requests, now.Records[0].Requests)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// limit bounds how large this process may make a file.
func limit(size uint64) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		return err
	}
	l.Cur = min(size, l.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l)
}

// fillUp goes through a full disk, here one on which files cannot grow, and back.
func fillUp(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := limit(6000); err != nil {
		return err
	}
	if _, err := Open(path); err == nil {
		return errors.New("the first start was not told of the full disk")
	}
	if err := limit(256 << 10); err != nil {
		return err
	}
	f, err := Open(path)
	if err != nil {
		return fmt.Errorf("start with space after a start without: %w", err)
	}
	if err := throughAFullDisk(f, func() error { return limit(8 << 20) }); err != nil {
		return err
	}
	return f.Close()
}

// throughAFullDisk saves until the disk is full, makes space and saves on. What
// was answered must be there at each point.
func throughAFullDisk(f *File, makeSpace func() error) error {
	saved := 0
	holds := func() error {
		records, _, _, err := f.Load()
		if err == nil && len(records) != saved {
			err = fmt.Errorf("%d sessions, not %d", len(records), saved)
		}
		return err
	}
	for {
		if err := f.Save(viewings(saved, saved+50), nil); err != nil {
			if !strings.Contains(err.Error(), f.path) {
				return fmt.Errorf("an error without the file's name: %w", err)
			}
			break
		}
		saved += 50
		if saved > 100_000 {
			return errors.New("the disk does not become full")
		}
	}
	for range 3 {
		if err := f.Save(viewings(saved, saved+2000), nil); err == nil {
			return errors.New("saved more than fits")
		}
		if err := holds(); err != nil {
			return fmt.Errorf("with a full disk: %w", err)
		}
	}
	if err := makeSpace(); err != nil {
		return err
	}
	for range 10 {
		if err := f.Save(viewings(saved, saved+50), nil); err != nil {
			return fmt.Errorf("with space again: %w", err)
		}
		saved += 50
		if err := holds(); err != nil {
			return fmt.Errorf("with space again: %w", err)
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	next, err := Open(f.path)
	if err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	f.path, f.disk, f.db = next.path, next.disk, next.db
	if err := holds(); err != nil {
		return fmt.Errorf("after a restart: %w", err)
	}
	return nil
}

func TestAFileThatCannotGrowCostsThatSaveAlone(t *testing.T) {
	c := spawn(t, "full", filepath.Join(t.TempDir(), "state"))
	if got := c.line(); got != "" {
		t.Error(got)
	}
}

func TestAFullDiskCostsThatSaveAlone(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("altagate-test", disk, "tmpfs", 0, "size=512k"); err != nil {
		t.Skip("this needs the right to mount a file system:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	f := open(t, filepath.Join(disk, "state"))
	err := throughAFullDisk(f, func() error { return syscall.Mount("altagate-test", disk, "tmpfs", syscall.MS_REMOUNT, "size=16m") })
	if err != nil {
		t.Error(err)
	}
}
