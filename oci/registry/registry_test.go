// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/store"
)

// fake is a registry of one repository that does what a test wants.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	parts map[string][]byte // by digest, and the index by the tag
	// answer, if set, answers in place of the registry if it returns true.
	answer func(w http.ResponseWriter, r *http.Request) bool
	asked  []string
}

// Push implements content.Pusher, so that an image can be packed into it.
func (f *fake) Push(_ context.Context, d ocispec.Descriptor, from io.Reader) error {
	data, err := content.ReadAll(from, d)
	f.parts[d.Digest.String()] = data
	return err
}

func startFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{parts: make(map[string][]byte)}
	index, err := oci.Pack(t.Context(), f, map[string]oci.Gadget{"amd64": {Metadata: []byte("name: x\n"), Object: []byte("object")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.parts["v1"] = f.parts[index.Digest.String()]
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.Path+" "+r.Header.Get("Authorization"))
	f.mu.Unlock()
	if f.answer != nil && f.answer(w, r) {
		return
	}
	data, ok := f.parts[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
	if !ok {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	if strings.Contains(r.URL.Path, "/manifests/") {
		var m struct{ MediaType string }
		_ = json.Unmarshal(data, &m)
		if m.MediaType == "" {
			m.MediaType = ocispec.MediaTypeImageManifest
		}
		w.Header().Set("Content-Type", m.MediaType)
	}
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(data).String())
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

func (f *fake) name(t *testing.T) reference.Name {
	t.Helper()
	name, err := reference.Standard().Parse(strings.TrimPrefix(f.URL, "http://") + "/me/x:v1")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// pull pulls the image into a new store.
func (f *fake) pull(ctx context.Context, t *testing.T, authFile string) (*store.Store, ocispec.Descriptor, error) {
	t.Helper()
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	name := f.name(t)
	if authFile == "" {
		authFile = filepath.Join(t.TempDir(), "none.json")
	}
	c, err := New(Options{AuthFile: authFile, Insecure: []string{name.Domain}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Pull(ctx, s, name)
	return s, d, err
}

func TestPull(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	s, d, err := f.pull(t.Context(), t, "")
	if err != nil {
		t.Fatal(err)
	}
	img, err := oci.Unpack(t.Context(), s, d, "amd64", func(err error) { t.Error(err) })
	if err != nil || string(img.Object) != "object" {
		t.Errorf("%+v, %v", img, err)
	}
}

// A registry that lies leaves nothing in the store.
func TestLies(t *testing.T) {
	t.Parallel()
	isBlob := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blobs/") }
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool
		want   string
	}{
		"other bytes": {func(w http.ResponseWriter, r *http.Request) bool {
			if isBlob(r) {
				_, _ = w.Write([]byte("0bject!!"))
			}
			return isBlob(r)
		}, "mismatch"},
		"truncated": {func(w http.ResponseWriter, r *http.Request) bool {
			if isBlob(r) {
				w.Header().Set("Content-Length", "6")
				_, _ = w.Write([]byte("ob"))
			}
			return isBlob(r)
		}, ""}, // the length is that of one of the two parts
		"1 GiB": {func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			w.Header().Set("Content-Length", fmt.Sprint(1<<30))
			w.Header().Set("Docker-Content-Digest", digest.FromString("").String())
			return strings.HasSuffix(r.URL.Path, "/v1")
		}, "1073741824 bytes"},
		"of a container": {func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Docker-Content-Digest", digest.FromString("{}").String())
			return strings.HasSuffix(r.URL.Path, "/v1")
		}, "it is not an image index"},
		"another index": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/v1") && r.Method == http.MethodHead {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
				w.Header().Set("Content-Length", "2")
				w.Header().Set("Docker-Content-Digest", digest.FromString("{}").String())
				return true
			}
			return false
		}, "not found"},
		"too many signatures": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			one := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":2,"artifactType":"x"}`, ocispec.MediaTypeImageManifest, digest.FromString("{}"))
			fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, ocispec.MediaTypeImageIndex, strings.Repeat(one+",", 99)+one)
			return true
		}, "more than 32 manifests refer to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t)
			f.answer = tt.answer
			s, d, err := f.pull(t.Context(), t, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want an error with %q", d, err, tt.want)
			}
			if images, err := s.Images(); err != nil || len(images) != 0 {
				t.Errorf("the store has %v, %v", images, err)
			}
		})
	}
}

// Credentials stay with the registry that they are for.
func TestRedirect(t *testing.T) {
	t.Parallel()
	f, other := startFake(t), startFake(t)
	const secret = "user:secret"
	domain := f.name(t).Domain
	auth := filepath.Join(t.TempDir(), "auth.json")
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, domain, base64.StdEncoding.EncodeToString([]byte(secret)))
	if err := os.WriteFile(auth, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		case strings.Contains(r.URL.Path, "/blobs/"):
			// By another name of the same machine, since the library decides by the name.
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	if _, _, err := f.pull(t.Context(), t, auth); err != nil {
		t.Fatal(err)
	}
	if len(other.asked) == 0 {
		t.Error("nobody was sent to the other host")
	}
	for _, asked := range other.asked {
		if !strings.HasSuffix(asked, " ") {
			t.Errorf("the other host got credentials: %s", asked)
		}
	}
}

// A registry that does not answer ends with the user's patience.
func TestHangingRegistry(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	f.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := f.pull(ctx, t, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// Signatures come with the image, and go with it.
func TestSignaturesAreTaken(t *testing.T) {
	t.Parallel()
	f := startFake(t)
	index := digest.FromBytes(f.parts["v1"])
	signature := []byte(`{"schemaVersion":2,"config":{"mediaType":"x","digest":"` + digest.FromString("{}").String() + `","size":2},"layers":[]}`)
	f.parts["sha256-"+index.Encoded()+".sig"], f.parts[digest.FromBytes(signature).String()] = signature, signature
	f.parts[digest.FromString("{}").String()] = []byte("{}")
	s, d, err := f.pull(t.Context(), t, "")
	if err != nil {
		t.Fatal(err)
	}
	attached, err := s.Attached(d)
	if err != nil || len(attached) != 1 {
		t.Fatalf("attached %v, %v", attached, err)
	}
	if data, err := content.FetchAll(t.Context(), s, attached[0]); err != nil || !bytes.Equal(data, signature) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestAuthFile(t *testing.T) {
	t.Setenv("REGISTRY_AUTH_FILE", "/x/auth.json")
	if file, err := AuthFile(); err != nil || file != "/x/auth.json" {
		t.Errorf("%s, %v", file, err)
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("DOCKER_CONFIG", "/y")
	if file, err := AuthFile(); err != nil || os.Geteuid() != 0 && file != "/y/config.json" {
		t.Errorf("%s, %v", file, err)
	}
}
