package config

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const (
	testToken = "marker1-token-0123"
	testHook  = "https://u:marker1@hook.example/marker1?t=marker1"
)

func TestWhereTheTokenComesFrom(t *testing.T) {
	environ(t, nil)
	if c, err := Load(); err != nil || c.HTTPToken.Reveal() != "" || c.WebhookURL.Reveal() != "" {
		t.Errorf("it need not be: %v", err)
	}
	file := secretIn(t, t.TempDir(), "token", "file-"+testToken+"\n", 0o600)
	environ(t, map[string]string{"ZEGORELAY_HTTP_TOKEN": testToken})
	if c, err := Load(); err != nil || c.HTTPToken.Reveal() != testToken {
		t.Errorf("the variable: %v", err)
	}
	environ(t, map[string]string{"ZEGORELAY_HTTP_TOKEN": testToken, "ZEGORELAY_HTTP_TOKEN_FILE": file})
	if c, err := Load(); err != nil || c.HTTPToken.Reveal() != "file-"+testToken {
		t.Errorf("the file must come before the variable: %v", err)
	}
	credential := secretIn(t, t.TempDir(), "http-token", "credential-"+testToken, 0o444)
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(credential))
	if c, err := Load(); err != nil || c.HTTPToken.Reveal() != "credential-"+testToken {
		t.Errorf("systemd's credential must come first: %v", err)
	}
	secretIn(t, filepath.Dir(credential), "webhook-secret", testToken, 0o400)
	t.Setenv("ZEGORELAY_WEBHOOK_URL", testHook)
	if c, err := Load(); err != nil || c.WebhookSecret.Reveal() != testToken || c.WebhookURL.Reveal() != testHook {
		t.Errorf("likewise the webhook's: %v", err)
	}
}

func TestSinsOfOtherSecrets(t *testing.T) {
	open := secretIn(t, t.TempDir(), "open", testToken, 0o644)
	for want, set := range map[string]map[string]string{
		"ZEGORELAY_HTTP_TOKEN is 7 characters, too few to be safe from guessing: make one": {"HTTP_TOKEN": "marker1"},
		"ZEGORELAY_HTTP_TOKEN has characters that HTTP can't carry":                        {"HTTP_TOKEN": "marker1 with spaces in it"},
		"ZEGORELAY_HTTP_TOKEN_FILE is not a path":                                          {"HTTP_TOKEN_FILE": testToken},
		open + " can be read or changed by others":                                         {"HTTP_TOKEN_FILE": open},
		"ZEGORELAY_WEBHOOK_URL is no http or https URL: write it like":                     {"WEBHOOK_URL": "ftp://marker1.example/"},
		"ZEGORELAY_WEBHOOK_URL is no http or https URL":                                    {"WEBHOOK_URL": "https://marker1:%zz/"},
		"ZEGORELAY_WEBHOOK_URL has a port beyond 65535":                                    {"WEBHOOK_URL": "https://marker1:99999/"},
		"ZEGORELAY_WEBHOOK_SECRET is set without WEBHOOK_URL: set both":                    {"WEBHOOK_SECRET": testToken},
	} {
		all := map[string]string{}
		for name, value := range set {
			all[prefix+name] = value
		}
		environ(t, all)
		_, err := Load()
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "marker1") {
			t.Errorf("the secret is in the error: %v", err)
		}
	}
}

func TestHTTPElsewhereNeedsAToken(t *testing.T) {
	for _, listen := range []string{":8935", "0.0.0.0:8935", "10.1.2.3:8935", "relay.example:8935"} {
		environ(t, map[string]string{"ZEGORELAY_HTTP_LISTEN": listen})
		if _, err := Load(); err == nil || !strings.Contains(err.Error(), "set ZEGORELAY_HTTP_TOKEN") {
			t.Errorf("%s: got %v", listen, err)
		}
		environ(t, map[string]string{"ZEGORELAY_HTTP_LISTEN": listen, "ZEGORELAY_HTTP_TOKEN": testToken})
		if c, err := Load(); err != nil || c.HTTPListen != listen {
			t.Errorf("%s with a token: got %v", listen, err)
		}
	}
}

func TestPrintMasksEverySecret(t *testing.T) {
	file := secretIn(t, t.TempDir(), "hook", testToken+"\n", 0o600)
	environ(t, map[string]string{
		"ZEGORELAY_HTTP_TOKEN": testToken, "ZEGORELAY_WEBHOOK_URL": testHook, "ZEGORELAY_WEBHOOK_SECRET_FILE": file,
	})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ZEGORELAY_HTTP_TOKEN=****0123\n", "ZEGORELAY_WEBHOOK_URL=https://hook.example/****\n",
		"ZEGORELAY_WEBHOOK_SECRET=****0123 # from " + file + "\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if printed := out.String() + fmt.Sprintf("%+v %#v", c, *c); strings.Contains(printed, "marker1") {
		t.Errorf("a secret is in the clear:\n%s", printed)
	}
}
