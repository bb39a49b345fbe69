package config

import (
	"fmt"
	"net/url"
	"strings"
)

// leastSecret is how many characters a secret of the operator's own choice has at least:
// nothing slows down who guesses.
const leastSecret = 16

// readSecrets reads all secrets. From here on only Secrets hold them.
func (c *Config) readSecrets(p *parser) {
	r := &c.raw
	c.secretFiles = make(map[string]string)
	c.ServerSecret, c.secretFiles[prefix+"SERVER_SECRET"] =
		p.secret("SERVER_SECRET", r.ServerSecret, r.ServerSecretFile)
	c.HTTPToken, c.secretFiles[prefix+"HTTP_TOKEN"] =
		p.ownSecret("HTTP_TOKEN", "http-token", r.HTTPToken, r.HTTPTokenFile)
	c.WebhookURL = p.webhook("WEBHOOK_URL", r.WebhookURL)
	c.WebhookSecret, c.secretFiles[prefix+"WEBHOOK_SECRET"] =
		p.ownSecret("WEBHOOK_SECRET", "webhook-secret", r.WebhookSecret, r.WebhookSecretFile)
	if c.WebhookSecret.Reveal() != "" && r.WebhookURL == "" {
		p.problem("WEBHOOK_SECRET", "is set without WEBHOOK_URL", "set both, or neither")
	}
	r.ServerSecret, r.HTTPToken, r.WebhookURL, r.WebhookSecret = "", "", "", ""
}

// hasHTTPToken says whether there is a token, or should be one that has a problem of its
// own.
func (c *Config) hasHTTPToken() bool {
	return c.HTTPToken.Reveal() != "" || c.secretFiles[prefix+"HTTP_TOKEN"] != "" || c.raw.HTTPTokenFile != ""
}

// masked is what Print shows for secrets; nothing for those that are not set.
func (c *Config) masked() map[string]string {
	all := map[string]string{prefix + "SERVER_SECRET": c.ServerSecret.Masked()}
	for name, secret := range map[string]Secret{"HTTP_TOKEN": c.HTTPToken, "WEBHOOK_SECRET": c.WebhookSecret} {
		if secret.Reveal() != "" {
			all[prefix+name] = secret.Masked()
		}
	}
	if u, err := url.Parse(c.WebhookURL.Reveal()); err == nil && u.Host != "" {
		all[prefix+"WEBHOOK_URL"] = u.Scheme + "://" + u.Host + "/" + hidden
	}
	return all
}

// ownSecret reads a secret of the operator's own choice, which need not be: from
// systemd's credentials, else from the file that was named, else from the variable.
func (p *parser) ownSecret(name, credential, text, file string) (secret Secret, from string) {
	if file != "" && !strings.Contains(file, "/") {
		// Likely the secret itself, put into the wrong variable: not quoted.
		p.problem(name+"_FILE", "is not a path", "write it in full, like /etc/zegorelay/"+credential)
		return Secret{}, ""
	}
	where := prefix + name
	if found, content, ok := p.secretElsewhere(credential, "secret", file); found != "" {
		if !ok {
			return Secret{}, found
		}
		from, where, text = found, found, strings.TrimRight(content, "\r\n")
	}
	const remedy = "make one with: openssl rand -hex 24"
	switch {
	case text == "" && from == "": // none
	case len(text) < leastSecret:
		p.problems.add(where, fmt.Sprintf("is %d characters, too few to be safe from guessing", len(text)), remedy)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		p.problems.add(where, "has characters that HTTP can't carry everywhere", remedy)
	}
	return NewSecret(text), from
}

// webhook reads the URL that events are sent to. Problems don't quote it: paths and
// queries of such URLs are often secrets.
func (p *parser) webhook(name, text string) Secret {
	if text == "" {
		return Secret{}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		p.problem(name, "is no http or https URL", "write it like https://example.com/events")
	case u.Port() != "" && !isPort(u.Port()):
		p.problem(name, "has a port beyond 65535", "write it like https://example.com/events")
	}
	return NewSecret(text)
}
