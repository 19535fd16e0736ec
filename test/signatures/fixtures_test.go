// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package signatures

import (
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	notation "github.com/notaryproject/notation-go"
)

var update = flag.Bool("update", false, "write the fixtures of oci/trust anew")

// fixture is a signed image with all that is needed to verify it.
type fixture struct {
	Image        ocispec.Descriptor
	Repository   string
	Attached     []ocispec.Descriptor
	Parts        map[digest.Digest][]byte
	Keys         string
	Document     string
	Certificates string
}

func (b *bed) fixture(name string, f fixture) {
	b.t.Helper()
	s, image := b.pull()
	f.Image, f.Repository, f.Attached, f.Parts = image.Descriptor, image.Repository, image.Attached, make(map[digest.Digest][]byte)
	for queue := f.Attached; len(queue) > 0; queue = queue[1:] {
		f.Parts[queue[0].Digest] = read(b.t, s, queue[0])
		parts, err := content.Successors(b.t.Context(), s, queue[0])
		if err != nil {
			b.t.Fatal(err)
		}
		for _, part := range parts {
			if part.Digest != f.Image.Digest {
				queue = append(queue, part)
			}
		}
	}
	data, err := json.MarshalIndent(&f, "", " ")
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join("..", "..", "oci", "trust", "testdata", name+".json")
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// The tests of oci/trust verify what cosign and notation have signed without having them.
func TestFixtures(t *testing.T) {
	if !*update {
		t.Skip("-update writes them")
	}
	for name, way := range ways() {
		b := newBed(t)
		b.mustRun("generate-key-pair")
		b.cosignSign("cosign.key", way.args...)
		public, err := os.ReadFile(filepath.Join(b.dir, "cosign.pub"))
		if err != nil {
			t.Fatal(err)
		}
		b.fixture("cosign-"+name, fixture{Keys: string(public)})
		if name == "tag" { // one suffices
			private, err := os.ReadFile(filepath.Join(b.dir, "cosign.key"))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("..", "..", "oci", "trust", "testdata", "cosign.key")
			if err := os.WriteFile(path, private, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kind := range []string{"jose+json", "cose"} {
		b := newBed(t)
		const years = 100 * 365 * 24 * time.Hour
		h := newHolder(t, ecKey(t), x509.ExtKeyUsageCodeSigning, years)
		b.notationSign(h, notation.SignerSignOptions{SignatureMediaType: "application/" + kind})
		b.fixture("notation-"+kind, fixture{Document: fmt.Sprintf(policyDocument, "*", ""), Certificates: h.root()})
	}
}
