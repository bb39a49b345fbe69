package scripts

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

const (
	packageAppID  = 1234567890
	packageSecret = "00112233445566778899aabbccddeeff"
)

// TestInstalledPackageStarts does by hand what an operator and systemd do with the package
// that is installed under PACKAGE_ROOT: two lines are edited, and the unit's command is
// run with the unit's environment.
func TestInstalledPackageStarts(t *testing.T) {
	root := os.Getenv("PACKAGE_ROOT")
	if root == "" {
		t.Skip("PACKAGE_ROOT names no root: scripts/test package does")
	}
	sim, err := zegosim.Start(zegosim.Options{AppID: packageAppID, Secret: packageSecret})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()

	begun := time.Now()
	env := filepath.Join(root, "etc/zegorelay/zegorelay.env")
	edit(t, env, "ZEGORELAY_APP_ID=\n", fmt.Sprintf("ZEGORELAY_APP_ID=%d\n", packageAppID))
	edit(t, filepath.Join(root, "etc/zegorelay/server-secret"), "", packageSecret+"\n")

	web := freeAddress(t)
	unit := read(t, filepath.Join(root, "usr/lib/systemd/system/zegorelay.service"))
	environment := append(settings(read(t, env)),
		"CREDENTIALS_DIRECTORY="+credentials(t, root, unit),
		// The stand-in for ZEGO, and ports that nobody else has.
		"ZEGORELAY_API_URL="+sim.URL(), "ZEGORELAY_NODE_ALLOW=127.0.0.0/8",
		"ZEGORELAY_RTMP_LISTEN="+freeAddress(t), "ZEGORELAY_HTTP_LISTEN="+web)
	words := strings.Fields(directive(unit, "ExecStart")[0])
	daemon := exec.Command(filepath.Join(root, words[0]), words[1:]...)
	daemon.Env = environment
	log := &bytes.Buffer{}
	daemon.Stderr = log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Process.Kill()
	for !answers("http://" + web + "/readyz") {
		if time.Since(begun) > 20*time.Second {
			daemon.Process.Kill()
			daemon.Wait()
			t.Fatalf("not ready\n%s", log)
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Logf("from the two edits to /readyz: %v", time.Since(begun).Round(time.Millisecond))

	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, log)
	}
}

// edit replaces one piece of a file; old "" stands for an empty file.
func edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	text := read(t, file)
	if old == "" && text != "" || strings.Count(text, old) != 1 {
		t.Fatalf("%s: %q is not there once:\n%s", file, old, text)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// settings are the assignments of an EnvironmentFile.
func settings(text string) (all []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// directive is all values that a unit gives to a directive.
func directive(unit, name string) (all []string) {
	for line := range strings.Lines(unit) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			all = append(all, strings.TrimSpace(value))
		}
	}
	return all
}

// credentials is a directory with what the unit's LoadCredential lines name.
func credentials(t *testing.T, root, unit string) string {
	t.Helper()
	dir := t.TempDir()
	for _, credential := range directive(unit, "LoadCredential") {
		name, file, _ := strings.Cut(credential, ":")
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue // one that need not be there
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestSBOMIsWhole holds the SBOM against what the binary says of itself.
func TestSBOMIsWhole(t *testing.T) {
	sbom, binary := os.Getenv("SBOM"), os.Getenv("ZEGORELAY")
	if sbom == "" || binary == "" {
		t.Skip("SBOM and ZEGORELAY name no files: scripts/test package does")
	}
	var bom struct {
		BOMFormat, SpecVersion string
		Components             []struct {
			Name, Version, PURL string
			Hashes              []struct{ Alg, Content string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, sbom)), &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion == "" {
		t.Errorf("%s %s is no CycloneDX", bom.BOMFormat, bom.SpecVersion)
	}
	got := make(map[string]string)
	for _, c := range bom.Components {
		for _, h := range c.Hashes {
			if h.Alg == "SHA-256" {
				got[c.Name+" "+c.Version] = h.Content
			}
		}
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) == 0 {
		t.Fatalf("%s names no modules", binary)
	}
	for _, module := range info.Deps {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(module.Sum, "h1:"))
		if err != nil {
			t.Fatal(err)
		}
		if name := module.Path + " " + module.Version; got[name] != hex.EncodeToString(sum) {
			t.Errorf("%s: the SBOM has the hash %q, the binary %x", name, got[name], sum)
		}
	}
}
