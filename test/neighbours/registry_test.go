// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// registry is a registry of images. Its user is "user" and the password "secret", if it asks for them.
type registry struct {
	*bed
	address string
	env     []string // of a gizmo that uses it: its own store and credentials
}

// passwords is the file of its users.
const passwords = "user:$2a$05$.7xX1tGLMLtOkWfvgmXGUOXIUKQott0v.AZ7kWG3JfYANoUTI09Km\n"

// startRegistry starts a registry that anyone may use by HTTP, or one that asks for a password and speaks HTTPS.
func startRegistry(t *testing.T, secure bool) *registry {
	t.Helper()
	r := &registry{bed: newBed(t, "docker-registry"), address: freeAddress(t)}
	config := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp:\n  addr: %s\n", r.path("data"), r.address)
	r.env = []string{"GIZMO_OCI_STORE=" + r.path("store"), "REGISTRY_AUTH_FILE=" + r.path("auth.json"), "SSL_CERT_FILE=" + r.path("cert.pem")}
	if secure {
		r.makeCertificate(t)
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\nauth: {htpasswd: {realm: test, path: %q}}\n",
			r.path("cert.pem"), r.path("key.pem"), r.write(t, "users", passwords, 0o600))
	}
	openFiles(t)
	file := r.write(t, "config.yml", config, 0o600)
	r.spawn(t, []string{"OTEL_TRACES_EXPORTER=none"}, func() error {
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			err = c.Close()
		}
		return err
	}, "docker-registry", "serve", file)
	return r
}

// openFiles opens a file again and again until the test ends, so that trace_open has something to show.
func openFiles(t *testing.T) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for every := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-every:
				_, _ = os.ReadFile("/proc/version")
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-ended
	})
}

// makeCertificate makes a certificate for the loopback interface, by itself.
func (r *registry) makeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), 0o600)
	r.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
}

// gizmo runs a command with the registry's store, and returns its output and its messages.
func (r *registry) gizmo(t *testing.T, input string, args ...string) (out, messages string, err error) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), r.env...)
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// must runs a command that succeeds, and returns its output.
func (r *registry) must(t *testing.T, args ...string) string {
	t.Helper()
	out, messages, err := r.gizmo(t, "", args...)
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, messages)
	}
	return out
}

// mustFail runs a command that fails with a message.
func (r *registry) mustFail(t *testing.T, want string, args ...string) {
	t.Helper()
	if out, messages, err := r.gizmo(t, "", args...); err == nil || !strings.Contains(messages, want) {
		t.Errorf("%q: %v, %s%s; want an error with %q", args, err, out, messages, want)
	}
}

var digestInText = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// From a folder to events on another machine: build, push, pull, run.
func TestRegistry(t *testing.T) {
	r := startRegistry(t, false)
	name, plain := r.address+"/me/opens:v1", "--insecure-registries="+r.address
	built := r.must(t, "image", "build", "../../gadgets/trace_open", "-t", name)
	sum := digestInText.FindString(built)
	if built != "Successfully built "+name+"@"+sum+"\n" {
		t.Errorf("got %q", built)
	}
	if got, want := r.must(t, "image", "push", name, plain), "Pushing "+name+"...\nSuccessfully pushed "+name+"@"+sum+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.must(t, "image", "remove", name)
	r.mustFail(t, "the image is not in the store", "run", name, "--pull=never", "-t", "1")
	r.mustFail(t, "is not part of allowed gadgets: other", "run", name, plain, "--allowed-gadgets=other", "-t", "1")
	r.mustFail(t, "pulling is disallowed", "run", name, plain, "--disallow-pulling", "-t", "1")
	r.mustFail(t, "server gave HTTP response to HTTPS client", "image", "pull", name)
	r.mustFail(t, "not found", "image", "pull", name+"2", plain)
	out := r.must(t, "run", name, plain, "--verify-image=false", "--allowed-gadgets="+r.address+"/me/*", "--host", "-o", "json", "-t", "2")
	if !strings.Contains(out, `"fname":"`) {
		t.Errorf("the gadget shows nothing: %s", out)
	}
	if got := r.must(t, "image", "list", "-o", "json"); !strings.Contains(got, `"Repository":"`+r.address+`/me/opens","Tag":"v1","Digest":"`+sum+`"`) {
		t.Errorf("got %s", got)
	}
	r.mustFail(t, "the image has no signature", "run", name, "-t", "1")
	pinned := r.address + "/me/opens@" + sum
	if got := r.must(t, "image", "pull", pinned, plain); !strings.HasSuffix(got, "Successfully pulled "+pinned+"\n") {
		t.Errorf("got %q", got)
	}
	r.must(t, "run", pinned, "--verify-image=false", "-o", "none", "-t", "1")
	r.mustFail(t, "not found", "image", "pull", r.address+"/me/opens@sha256:"+strings.Repeat("0", 64), plain)
}

// A signature goes along with its image, and says whether the image runs elsewhere.
func TestSignedImages(t *testing.T) {
	r := startRegistry(t, false)
	r.env = append(r.env, "COSIGN_PASSWORD=secret")
	name, plain := r.address+"/me/opens:v1", "--insecure-registries="+r.address
	key, other := r.path("mine"), r.path("other")
	for _, prefix := range []string{key, other} {
		if got, want := r.must(t, "image", "generate-key", "--output-prefix", prefix), "Wrote "+prefix+".key and "+prefix+".pub\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	r.mustFail(t, "file exists", "image", "generate-key", "--output-prefix", key)
	r.must(t, "image", "build", "../../gadgets/trace_open", "-t", name)
	r.mustFail(t, "the image has no signature", "image", "verify", name)
	for _, format := range []string{"cosign", "sigstore bundle", "cosign"} {
		if got := r.must(t, "image", "sign", name, "--key", key+".key", "--format", format); !strings.HasPrefix(got, "Successfully signed "+name+"@sha256:") {
			t.Errorf("got %q", got)
		}
	}
	r.must(t, "image", "push", name, plain)
	r.must(t, "image", "remove", name)
	r.must(t, "image", "pull", name, plain)
	if got := r.must(t, "image", "verify", name, "--public-keys", key+".pub"); !strings.HasPrefix(got, "Verifying image: "+name+"\nImage verified successfully!\nSigned by ") {
		t.Errorf("got %q", got)
	}
	out := r.must(t, "run", name, "--public-keys", key+".pub", "--host", "-o", "json", "-t", "2")
	if !strings.Contains(out, `"fname":"`) {
		t.Errorf("the gadget shows nothing: %s", out)
	}
	r.mustFail(t, "signed by another key", "run", name, "--public-keys", other+".pub", "-t", "1")
	r.mustFail(t, "signed by another key", "run", name, "-t", "1")
	for keyFile, want := range map[string]string{key + ".pub": "valid, by ", other + ".pub": "signed by another key"} {
		if got := r.must(t, "image", "inspect", name, "--public-keys", keyFile); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	r.signLater(t, key)
	file := r.path("images.tar")
	r.must(t, "image", "export", name, file)
	r.must(t, "image", "remove", name)
	r.must(t, "image", "import", file)
	r.must(t, "run", name, "--public-keys", key+".pub", "-o", "none", "-t", "1")
	r.env[len(r.env)-1] = "COSIGN_PASSWORD=wrong"
	r.mustFail(t, "--key: ", "image", "sign", name, "--key", key+".key")
}

// signLater signs an image after another machine has pulled it: that finds the signature when it needs one.
func (r *registry) signLater(t *testing.T, key string) {
	t.Helper()
	later, plain, mine := r.address+"/me/later:v1", "--insecure-registries="+r.address, r.env[0]
	r.must(t, "image", "build", "../../gadgets/trace_exec", "-t", later)
	r.must(t, "image", "push", later, plain)
	r.env[0] = "GIZMO_OCI_STORE=" + r.path("another store")
	r.must(t, "image", "pull", later, plain)
	r.mustFail(t, "the image has no signature", "image", "verify", later, plain, "--public-keys", key+".pub")
	r.env[0] = mine
	r.must(t, "image", "sign", later, "--key", key+".key")
	r.must(t, "image", "push", later, plain)
	r.env[0] = "GIZMO_OCI_STORE=" + r.path("another store")
	r.mustFail(t, "the image has no signature in the store, and none can be pulled", "run", later, "--public-keys", key+".pub", "-t", "1")
	r.mustFail(t, "the image has no signature; --verify-image=false", "run", later, plain, "--public-keys", key+".pub", "--pull=never", "-t", "1")
	r.must(t, "run", later, plain, "--public-keys", key+".pub", "-o", "none", "-t", "1")
	r.must(t, "image", "verify", later, "--public-keys", key+".pub") // it is in the store now
	r.env[0] = mine
}

// Credentials are asked for, kept and forgotten; the connection is encrypted.
func TestRegistryWithPassword(t *testing.T) {
	r := startRegistry(t, true)
	name := r.address + "/me/opens:v1"
	r.must(t, "image", "build", "../../gadgets/trace_open", "-t", name)
	r.mustFail(t, "basic credential not found", "image", "push", name)
	if _, messages, err := r.gizmo(t, "wrong", "login", r.address, "-u", "user", "--password-stdin"); err == nil || !strings.Contains(messages, "401") {
		t.Errorf("a wrong password: %v, %s", err, messages)
	}
	out, messages, err := r.gizmo(t, "secret\n", "login", r.address, "-u", "user", "--password-stdin")
	if err != nil || out != "Login Succeeded\n" {
		t.Fatalf("%v: %s%s", err, out, messages)
	}
	if st, err := os.Stat(r.path("auth.json")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file of credentials: %v, %v", st, err)
	}
	r.must(t, "image", "push", name)
	r.must(t, "image", "remove", name)
	r.must(t, "image", "pull", name)
	r.must(t, "logout", r.address)
	r.mustFail(t, "basic credential not found", "image", "pull", name)
	r.env = r.env[:len(r.env)-1]
	r.mustFail(t, "certificate signed by unknown authority", "image", "pull", name)
}
