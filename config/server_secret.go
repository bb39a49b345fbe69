package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretLength is that of every ServerSecret.
const secretLength = 32

// secret reads the ServerSecret: from systemd's credentials, else from the file
// that was named, else from the variable.
func (p *parser) secret(name, text, file string) Secret {
	where := prefix + name
	before := len(p.problems)
	if credential, ok := systemdCredential(); ok {
		where, file = credential, credential
		text = p.secretFile(credential, false)
	} else if file != "" {
		where = file
		text = p.secretFile(file, true)
	}
	switch {
	case len(p.problems) > before:
	case text == "" && file != "":
		p.problems.add(where, "holds no ServerSecret", "copy it from ZEGO's console")
	case text == "":
		p.problems.add(where, "is not set",
			"copy the ServerSecret from ZEGO's console, at best into a file for "+where+"_FILE")
	case len(text) != secretLength:
		p.problems.add(where, fmt.Sprintf("is %d characters, ZEGO's are %d", len(text), secretLength),
			"copy it again from the console")
	}
	return NewSecret(text)
}

// systemdCredential is the file that LoadCredential=server-secret puts there.
func systemdCredential() (file string, ok bool) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", false
	}
	file = filepath.Join(dir, "server-secret")
	_, err := os.Stat(file)
	return file, err == nil
}

// secretFile reads a file that only its owner, or a group, may read.
func (p *parser) secretFile(file string, guarded bool) string {
	info, err := os.Stat(file)
	var content []byte
	if err == nil {
		content, err = os.ReadFile(file)
	}
	if err != nil {
		p.problems.add(file, "can't be read ("+reasonOf(err)+")", "let zegorelay read it, or name another file")
		return ""
	}
	if mode := info.Mode().Perm(); guarded && mode&0o007 != 0 {
		p.problems.add(file, fmt.Sprintf("can be read by everybody (%v)", mode), "run: chmod 600 "+file)
	}
	return strings.TrimRight(string(content), "\r\n")
}

// reasonOf is an error of the file system without the path, which is said
// already.
func reasonOf(err error) string {
	if pathErr, ok := err.(*fs.PathError); ok { //nolint:errorlint // straight from os
		return pathErr.Err.Error()
	}
	return err.Error()
}
