package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	secretLength  = 32   // characters, of every ServerSecret
	maxSecretFile = 4096 // bytes; whatever is longer is some other file
	openToOthers  = 0o026
)

// secret reads the ServerSecret: from systemd's credentials, else from the file
// that was named, else from the variable. from is the file that it came from,
// empty for the variable.
func (p *parser) secret(name, text, file string) (secret Secret, from string) {
	if file != "" && !strings.Contains(file, "/") {
		// Likely the secret itself, put into the wrong variable: not quoted.
		p.problem(name+"_FILE", "is not a path", "write it in full, like /etc/zegorelay/server-secret")
		return Secret{}, ""
	}
	where, ok := prefix+name, true
	if found, content, read := p.secretElsewhere("server-secret", "ServerSecret", file); found != "" {
		from, where, text, ok = found, found, content, read
	}
	text = strings.TrimRight(text, "\r\n")
	switch length := utf8.RuneCountInString(text); {
	case !ok: // said already
	case length == 0 && from != "":
		p.problems.add(where, "holds no ServerSecret", "copy it from ZEGO's console")
	case length == 0:
		p.problems.add(where, "is not set",
			"copy the ServerSecret from ZEGO's console, at best into a file for "+where+"_FILE")
	case length != secretLength:
		p.problems.add(where, fmt.Sprintf("is %d characters, ZEGO's are %d", length, secretLength),
			"copy it again from the console")
	}
	return NewSecret(text), from
}

// secretElsewhere reads a secret that is not in its own variable: from systemd's
// credential, else from the file that was named. from is empty if there is neither.
func (p *parser) secretElsewhere(credential, what, file string) (from, text string, ok bool) {
	if from, found := p.credential(credential); found {
		text, ok = p.secretFile(from, what, maxSecretFile, false) // its mode is systemd's to choose
		return from, text, ok
	}
	if file == "" {
		return "", "", false
	}
	text, ok = p.secretFile(file, what, maxSecretFile, true)
	return file, text, ok
}

// credential is the file that systemd's LoadCredential=name puts there. One
// that is there but out of reach counts: to pass over it would be to run with a
// secret that the operator has replaced.
func (p *parser) credential(name string) (file string, found bool) {
	if p.credentials == "" {
		return "", false
	}
	file = filepath.Join(p.credentials, name)
	_, err := os.Stat(file)
	return file, !errors.Is(err, fs.ErrNotExist)
}

// secretFile reads the file of what; a guarded one must be closed to others. It is asked
// what it is before it is opened, for opening a pipe would wait for its writer.
func (p *parser) secretFile(file, what string, most int64, guarded bool) (text string, ok bool) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		p.problems.add(file, "is not a regular file", "name the file that holds the "+what)
		return "", false
	}
	if err == nil && info.Size() > most {
		p.problems.add(file, fmt.Sprintf("is %d bytes, too long for a %s", info.Size(), what),
			"name the file that holds nothing else")
		return "", false
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		p.problems.add(file, "can't be read ("+reasonOf(err)+")", "let zegorelay read it, or name another file")
		return "", false
	}
	if mode := info.Mode().Perm(); guarded && mode&openToOthers != 0 {
		p.problems.add(file, fmt.Sprintf("can be read or changed by others (%v)", mode), "run: chmod 600 "+file)
	}
	return string(content), true
}

// reasonOf is an error of the file system without the path, which is said
// already.
func reasonOf(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err.Error()
	}
	return err.Error()
}
