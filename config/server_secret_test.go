package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// secretIn makes a file of one mode, whatever the umask.
func secretIn(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWhereTheSecretComesFrom(t *testing.T) {
	write := func(dir, name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	dir := t.TempDir()
	credential := "credential" + testSecret[10:]
	inFile := "file567890" + testSecret[10:]
	file := write(dir, "secret", inFile+"\n")

	environ(t, map[string]string{"ZEGORELAY_SERVER_SECRET_FILE": file})
	if c, err := Load(); err != nil || c.ServerSecret.Reveal() != inFile {
		t.Errorf("the file must come before the variable: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if c, err := Load(); err != nil || c.ServerSecret.Reveal() != inFile {
		t.Errorf("without a credential of ours the file counts: %v", err)
	}
	write(dir, "server-secret", credential)
	if c, err := Load(); err != nil || c.ServerSecret.Reveal() != credential {
		t.Errorf("systemd's credential must come first: %v", err)
	}
}

func TestWhoMayTouchTheSecretsFile(t *testing.T) {
	for mode, good := range map[os.FileMode]bool{
		0o400: true, 0o600: true, 0o640: true, 0o620: false, 0o660: false, 0o604: false, 0o602: false, 0o644: false,
	} {
		file := secretIn(t, t.TempDir(), "server-secret", testSecret, mode)
		environ(t, map[string]string{"ZEGORELAY_SERVER_SECRET_FILE": file})
		if _, err := Load(); (err == nil) != good {
			t.Errorf("%v: got %v, want good: %t", mode, err, good)
		}
		environ(t, nil)
		t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(file))
		if _, err := Load(); err != nil {
			t.Errorf("%v: a credential's mode is systemd's, got %v", mode, err)
		}
	}
}

func TestSinsOfTheSecretsFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, file := range map[string]string{
		"is not a regular file: name the file":                dir,
		"is not a regular file: name":                         pipe, // and doesn't wait for a writer
		"is 4097 bytes, too long for a ServerSecret":          secretIn(t, dir, "long", strings.Repeat("x", 4097), 0o600),
		"is 31 characters, ZEGO's are 32: copy it again":      secretIn(t, dir, "short", testSecret[1:], 0o600),
		"holds no ServerSecret: copy it":                      secretIn(t, dir, "blank", "\n", 0o600),
		"can't be read (no such file or directory): let":      filepath.Join(dir, "none"),
		"can't be read (not a directory): let zegorelay read": filepath.Join(dir, "long", "none"),
	} {
		environ(t, map[string]string{"ZEGORELAY_SERVER_SECRET_FILE": file})
		_, err := Load()
		if err == nil || !strings.Contains(err.Error(), file+" "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestEverySinOfAFileIsNamed(t *testing.T) {
	file := secretIn(t, t.TempDir(), "secret", testSecret[1:], 0o666)
	environ(t, map[string]string{"ZEGORELAY_SERVER_SECRET_FILE": file})
	_, err := Load()
	for _, want := range []string{"by others (-rw-rw-rw-)", "is 31 characters"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestACredentialOutOfReachIsNotPassedOver(t *testing.T) {
	environ(t, nil) // with a good variable
	notADirectory := secretIn(t, t.TempDir(), "file", "", 0o600)
	t.Setenv("CREDENTIALS_DIRECTORY", notADirectory)
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), "can't be read (not a directory)") {
		t.Errorf("got %v, want the credential's problem", err)
	}
}

func TestPrintSaysWhichFileTheSecretIsFrom(t *testing.T) {
	file := secretIn(t, t.TempDir(), "secret", testSecret+"\r\n", 0o600)
	environ(t, map[string]string{"ZEGORELAY_SERVER_SECRET_FILE": file})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if want := "ZEGORELAY_SERVER_SECRET=****aabb # from " + file + "\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in:\n%s", want, out.String())
	}
}

func TestDefaultsLeaveTheEnvironmentAlone(t *testing.T) {
	environ(t, map[string]string{"ZEGORELAY_BACKLOG": "3s"})
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(secretIn(t, t.TempDir(), "server-secret", testSecret, 0o600)))
	if c := Defaults(); c.ServerSecret.Reveal() != "" || c.Backlog.Seconds() != 10 {
		t.Errorf("got a Backlog of %v and the secret %v, want 10s and none", c.Backlog, c.ServerSecret.Masked())
	}
}
