// Package check holds the manifests against Kubernetes' own types, strictly: an unknown
// field, a wrong type and a field given twice are errors. It is a module of its own so
// that zegorelay doesn't depend on Kubernetes.
package check

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// documents decodes every document of a manifest by its kind.
func documents(t *testing.T, name string) (all []any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	for i, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		var kind meta.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatalf("%s: document %d: %v", name, i, err)
		}
		kinds := map[string]any{
			"v1 Pod":                        &core.Pod{},
			"v1 Service":                    &core.Service{},
			"apps/v1 Deployment":            &apps.Deployment{},
			"policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{},
		}
		object, ok := kinds[kind.APIVersion+" "+kind.Kind]
		if !ok {
			t.Fatalf("%s: document %d: %q %q is not expected", name, i, kind.APIVersion, kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %s: %v", name, kind.Kind, err)
		}
		all = append(all, object)
	}
	return all
}

func TestDeployment(t *testing.T) {
	var pods meta.ObjectMeta
	var relay core.Container
	for _, object := range documents(t, "deployment.yaml") {
		switch o := object.(type) {
		case *apps.Deployment:
			pods = o.Spec.Template.ObjectMeta
			selected(t, "Deployment", o.Spec.Selector, pods)
			if len(o.Spec.Template.Spec.Containers) != 1 {
				t.Fatal("not one container")
			}
			relay = o.Spec.Template.Spec.Containers[0]
			checkPod(t, o.Spec.Template.Spec)
			checkRelay(t, relay)
		case *core.Service:
			selected(t, o.Name, &meta.LabelSelector{MatchLabels: o.Spec.Selector}, pods)
			if port := o.Spec.Ports[0].TargetPort.StrVal; !hasPort(relay, port) {
				t.Errorf("%s leads to port %q, which nothing has", o.Name, port)
			}
		case *policy.PodDisruptionBudget:
			selected(t, o.Name, o.Spec.Selector, pods)
		}
	}
}

func TestSidecar(t *testing.T) {
	pod := documents(t, "sidecar.yaml")[0].(*core.Pod)
	checkPod(t, pod.Spec)
	relay := pod.Spec.InitContainers[0]
	if relay.RestartPolicy == nil || *relay.RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Error("the init container is no sidecar")
	}
	checkRelay(t, relay)
}

func selected(t *testing.T, who string, by *meta.LabelSelector, pods meta.ObjectMeta) {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(by)
	if err != nil || selector.Empty() || !selector.Matches(labels.Set(pods.Labels)) {
		t.Errorf("%s selects %v, the pods have %v (%v)", who, selector, pods.Labels, err)
	}
}

// checkPod checks what the restricted Pod Security Standard demands, and more.
func checkPod(t *testing.T, pod core.PodSpec) {
	t.Helper()
	s := pod.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Error("the pod may run as root, or without seccomp")
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a token of the cluster's")
	}
	// They would be ZEGORELAY_SERVICE_HOST and so on: misspelt variables to zegorelay.
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("the pod gets variables for Services")
	}
	for _, c := range append(pod.InitContainers, pod.Containers...) {
		s := c.SecurityContext
		if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem ||
			len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || s.Privileged != nil {
			t.Errorf("%s has privileges", c.Name)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s has no memory limit or no CPU request", c.Name)
		}
	}
}

// checkRelay checks the probes, and has zegorelay itself check the environment.
func checkRelay(t *testing.T, c core.Container) {
	t.Helper()
	for probe, want := range map[*core.Probe]string{c.LivenessProbe: "/healthz", c.ReadinessProbe: "/readyz"} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want || !hasPort(c, probe.HTTPGet.Port.StrVal) {
			t.Errorf("no probe of %s", want)
		}
	}
	secrets := t.TempDir()
	for name, content := range map[string]string{
		"server-secret": "00112233445566778899aabbccddeeff", "http-token": "0123456789abcdef",
	} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := os.Getenv("ZEGORELAY")
	if binary == "" {
		t.Skip("ZEGORELAY doesn't name a binary: scripts/test package does")
	}
	cmd := exec.Command(binary, "config", "check")
	cmd.Env = []string{}
	for _, e := range c.Env {
		value := e.Value
		if mount := c.VolumeMounts[0].MountPath; path.Dir(value) == mount {
			value = filepath.Join(secrets, path.Base(value))
		}
		if e.ValueFrom != nil {
			value = fmt.Sprint(c.Resources.Limits.Memory().Value()) // what the kubelet writes
		}
		cmd.Env = append(cmd.Env, e.Name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("zegorelay says: %v\n%s", err, out)
	}
}

func hasPort(c core.Container, name string) bool {
	for _, p := range c.Ports {
		if p.Name == name {
			return true
		}
	}
	return false
}

// A schema that took anything would prove nothing.
func TestAWrongManifestIsFound(t *testing.T) {
	text, err := os.ReadFile("../deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(text, []byte("\n---\n"))
	for old, wrong := range map[string]string{
		"readinessProbe:": "readynessProbe:",
		"replicas: 2":     "replicas: two",
	} {
		text := bytes.Replace(head, []byte(old), []byte(wrong), 1)
		err := yaml.UnmarshalStrict(text, &apps.Deployment{})
		if err == nil || bytes.Equal(text, head) {
			t.Errorf("%s passes", wrong)
		}
	}
}
