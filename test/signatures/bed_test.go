// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package signatures

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/registry"
	"github.com/gizmo-ebpf/gizmo/oci/store"
	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// cosign is the path of the program.
var cosign string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if cosign = os.Getenv("COSIGN"); cosign == "" {
		dir, err := os.MkdirTemp("", "cosign")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		cosign = filepath.Join(dir, "cosign")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", cosign, "github.com/sigstore/cosign/v3/cmd/cosign")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			log.Print("build cosign: ", err)
			return 1
		}
	}
	return m.Run()
}

// bed has an image in a store and in a registry.
type bed struct {
	t      *testing.T
	dir    string
	client *registry.Client
	store  *store.Store
	name   reference.Name
	image  trust.Image
	claim  string // the repository that signatures name; empty: its own
}

func newBed(t *testing.T) *bed {
	t.Helper()
	server := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)), ggcr.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	b := &bed{t: t, dir: t.TempDir()}
	var err error
	if b.client, err = registry.New(registry.Options{AuthFile: filepath.Join(b.dir, "none.json"), Insecure: []string{host}}); err != nil {
		t.Fatal(err)
	}
	if b.name, err = reference.Standard().Parse(host + "/some/gadget:v1"); err != nil {
		t.Fatal(err)
	}
	b.store = b.newStore()
	d, err := b.store.Add(b.name.String(), func() (ocispec.Descriptor, error) {
		gadget := oci.Gadget{Metadata: []byte("name: some\n"), Object: []byte("object")}
		return oci.Pack(t.Context(), b.store, map[string]oci.Gadget{"amd64": gadget, "arm64": gadget}, oci.Annotations("some", "", "", "", "", "v1", nil, time.Unix(0, 0)))
	})
	if err != nil {
		t.Fatal(err)
	}
	b.image = trust.Image{Descriptor: d, Repository: b.name.Path()}
	b.push()
	return b
}

func (b *bed) newStore() *store.Store {
	b.t.Helper()
	s, err := store.Open(b.t.TempDir())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { s.Close() })
	return s
}

// push copies the image and what belongs to it to the registry.
func (b *bed) push() {
	b.t.Helper()
	if err := b.client.Push(b.t.Context(), b.store, b.image.Descriptor, b.name); err != nil {
		b.t.Fatal(err)
	}
}

// pull copies the image with what belongs to it from the registry to a store of its own.
func (b *bed) pull() (*store.Store, trust.Image) {
	b.t.Helper()
	s := b.newStore()
	d, err := b.client.Pull(b.t.Context(), s, b.name)
	if err != nil {
		b.t.Fatal(err)
	}
	image := trust.Image{Descriptor: d, Repository: b.name.Path()}
	if image.Attached, err = s.Attached(d); err != nil {
		b.t.Fatal(err)
	}
	return s, image
}

// verify lets gizmo verify what is in the registry.
func (b *bed) verify(policy trust.Policy) (trust.Result, error) {
	b.t.Helper()
	s, image := b.pull()
	return trust.Verify(b.t.Context(), s, image, policy)
}

// sign lets gizmo sign the image and push the signature.
func (b *bed) sign(key *trust.PrivateKey, format trust.Format) {
	b.t.Helper()
	attached, err := b.store.Attached(b.image.Descriptor)
	if err != nil {
		b.t.Fatal(err)
	}
	b.image.Attached = attached
	if b.claim != "" {
		b.image.Repository = b.claim
	}
	d, err := trust.Sign(b.t.Context(), b.store, b.image, key, format)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Attach(d, b.image.Descriptor); err != nil {
		b.t.Fatal(err)
	}
	b.push()
}

// digested is the name of the image by its digest, as cosign wants it.
func (b *bed) digested() string { return b.name.Path() + "@" + b.image.Descriptor.Digest.String() }

// run runs cosign, without the network and with an empty home, and returns what it prints.
func (b *bed) run(args ...string) (string, error) {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), cosign, args...)
	cmd.Dir = b.dir
	cmd.Env = []string{"HOME=" + b.dir, "COSIGN_PASSWORD=penguin", "COSIGN_EXPERIMENTAL=1", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	b.t.Logf("cosign %s\n%s", strings.Join(args, " "), out)
	return string(out), err
}

func (b *bed) mustRun(args ...string) string {
	b.t.Helper()
	out, err := b.run(args...)
	if err != nil {
		b.t.Fatalf("cosign %s: %v", args[0], err)
	}
	return out
}

// file writes a file and returns its path.
func (b *bed) file(name string, data []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// keyFiles makes a key in two files, as gizmo does.
func (b *bed) keyFiles() (key *trust.PrivateKey, private, public string) {
	b.t.Helper()
	text, _, err := trust.GenerateKey([]byte("penguin"))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.parsed(text)
}

// parsed reads a private key and writes it and its public key into files.
func (b *bed) parsed(text []byte) (key *trust.PrivateKey, private, public string) {
	b.t.Helper()
	key, err := trust.ParsePrivateKey(text, func() ([]byte, error) { return []byte("penguin"), nil })
	if err != nil {
		b.t.Fatal(err)
	}
	return key, b.file("my.key", text), b.file("my.pub", key.Public().PEM())
}

// read returns a part of a store.
func read(t *testing.T, s *store.Store, d ocispec.Descriptor) []byte {
	t.Helper()
	r, err := s.Fetch(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var errNone = errors.New("there is none")

// only returns the only manifest that belongs to an image.
func only(image trust.Image) (ocispec.Descriptor, error) {
	if len(image.Attached) != 1 {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %d", errNone, len(image.Attached))
	}
	return image.Attached[0], nil
}
