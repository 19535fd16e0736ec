// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
)

// Sign makes a signature of an image and writes it, and returns its manifest, which the caller has to attach to the image.
//
// In the format [SimpleSigning], which all verifiers know, the bytes are those that cosign writes, but for the signature itself. An image has one manifest with
// all signatures, because a registry has one tag for it. So the new manifest has the signatures of the last such manifest that belongs to the image, too, and
// takes its place. It is returned as it is if it has a signature by this key. In the format [Bundle], which cosign writes since version 3, each signature
// has its own manifest.
func Sign(ctx context.Context, store content.Storage, image Image, key *PrivateKey, format Format) (ocispec.Descriptor, error) {
	d, err := sign(ctx, store, image, key, format)
	if err != nil {
		return d, fmt.Errorf("sign the image: %w", err)
	}
	return d, nil
}

func sign(ctx context.Context, store content.Storage, image Image, key *PrivateKey, format Format) (ocispec.Descriptor, error) {
	if err := image.Descriptor.Digest.Validate(); err != nil {
		return ocispec.Descriptor{}, err
	}
	s := signing{ctx, store, image, key}
	switch format {
	case SimpleSigning:
		return s.simpleSigning()
	case Bundle:
		return s.bundle()
	}
	return ocispec.Descriptor{}, fmt.Errorf("gizmo verifies signatures in the format %s, but does not make them", quote(string(format)))
}

// signing is the state of [Sign].
type signing struct {
	ctx   context.Context
	store content.Storage
	image Image
	key   *PrivateKey
}

// tagged is a manifest of cosign with the signatures of an image. The members have cosign's order, and what is in the layers stays as it is.
type tagged struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        part              `json:"config"`
	Layers        []json.RawMessage `json:"layers"`
}

type part struct {
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`
	Digest      digest.Digest     `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func partOf(mediaType string, data []byte) part {
	return part{MediaType: mediaType, Size: int64(len(data)), Digest: digest.FromBytes(data)}
}

// taggedConfig is its config: that of an image of a container for which nothing is known.
type taggedConfig struct {
	Architecture string       `json:"architecture"`
	Created      time.Time    `json:"created"`
	History      []taggedStep `json:"history"`
	OS           string       `json:"os"`
	RootFS       struct {
		Type    string          `json:"type"`
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
	Config struct{} `json:"config"`
}

type taggedStep struct {
	Created time.Time `json:"created"`
}

// simpleSigning adds a signature to the manifest with the tag.
func (s *signing) simpleSigning() (ocispec.Descriptor, error) {
	var p payload
	p.Critical.Identity.Reference = s.image.Repository
	p.Critical.Image.Digest = s.image.Descriptor.Digest.String()
	p.Critical.Type = simpleSigningKind
	data, err := json.Marshal(&p)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	old, layers, err := s.tagged()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if s.isSigned(old) {
		return old, nil
	}
	signature, err := s.key.sign(data)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layer := partOf(simpleSigningType, data)
	layer.Annotations = map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)}
	text, err := json.Marshal(&layer)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := s.push(simpleSigningType, data); err != nil {
		return ocispec.Descriptor{}, err
	}
	return s.pushTagged(append(layers, text))
}

// isSigned reports whether a manifest has a signature by the key.
func (s *signing) isSigned(d ocispec.Descriptor) bool {
	if d.Digest == "" {
		return false
	}
	_, err := Verify(s.ctx, s.store, Image{Descriptor: s.image.Descriptor, Attached: []ocispec.Descriptor{d}}, Policy{Keys: []Key{s.key.public}})
	return err == nil
}

// tagged returns the last of cosign's manifests that have a tag, and its layers. An empty digest: there is none.
func (s *signing) tagged() (last ocispec.Descriptor, layers []json.RawMessage, err error) {
	v := verifier{ctx: s.ctx, from: s.store}
	for _, d := range s.image.Attached {
		data, err := v.fetch(d, maxManifest)
		if err != nil {
			return last, nil, fmt.Errorf("read the signatures that it has: %w", err)
		}
		var m ocispec.Manifest
		var t tagged
		if json.Unmarshal(data, &m) != nil || json.Unmarshal(data, &t) != nil || m.Subject != nil || len(m.Layers) == 0 || m.Layers[0].MediaType != simpleSigningType {
			continue
		}
		last, layers = d, t.Layers
	}
	return last, layers, nil
}

// pushTagged writes the manifest with some layers.
func (s *signing) pushTagged(layers []json.RawMessage) (ocispec.Descriptor, error) {
	if len(layers) > maxSignatures {
		return ocispec.Descriptor{}, fmt.Errorf("it has %d signatures", len(layers)-1)
	}
	var c taggedConfig
	c.RootFS.Type = "layers"
	c.History = make([]taggedStep, len(layers))
	for _, text := range layers {
		var layer part
		if err := json.Unmarshal(text, &layer); err != nil {
			return ocispec.Descriptor{}, err
		}
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, layer.Digest)
	}
	config, err := json.Marshal(&c)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if _, err := s.push(ocispec.MediaTypeImageConfig, config); err != nil {
		return ocispec.Descriptor{}, err
	}
	data, err := json.Marshal(&tagged{2, ocispec.MediaTypeImageManifest, partOf(ocispec.MediaTypeImageConfig, config), layers})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return s.push(ocispec.MediaTypeImageManifest, data)
}

// bundle makes a manifest that refers to the image.
func (s *signing) bundle() (ocispec.Descriptor, error) {
	text, err := s.bundleText()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := s.image.Descriptor
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: bundleType,
		Config:  ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: ocispec.DescriptorEmptyJSON.Digest, Size: ocispec.DescriptorEmptyJSON.Size},
		Subject: &ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
		Annotations: map[string]string{
			ocispec.AnnotationCreated:           time.Now().UTC().Format(time.RFC3339),
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": signPredicate,
		},
	}
	if _, err := s.push(m.Config.MediaType, ocispec.DescriptorEmptyJSON.Data); err != nil {
		return ocispec.Descriptor{}, err
	}
	layer, err := s.push(bundleType, text)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	m.Layers = []ocispec.Descriptor{layer}
	data, err := json.Marshal(&m)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := s.push(m.MediaType, data)
	manifest.ArtifactType = bundleType
	return manifest, err
}

// bundleText makes a bundle.
func (s *signing) bundleText() ([]byte, error) {
	sum := s.image.Descriptor.Digest
	st := statement{
		Type: statementVersions + "v1", Subject: []subject{{map[string]string{sum.Algorithm().String(): sum.Encoded()}}},
		PredicateType: signPredicate, Predicate: json.RawMessage("{}"),
	}
	data, err := json.Marshal(&st)
	if err != nil {
		return nil, err
	}
	e := envelope{Payload: data, PayloadType: statementType}
	signature, err := s.key.sign(e.signed())
	if err != nil {
		return nil, err
	}
	e.Signatures = []envelopeSignature{{signature}}
	hint := sha256.Sum256(s.key.public.der)
	return json.Marshal(&bundle{bundleType, verificationMaterial{PublicKey: &publicKeyHint{base64.StdEncoding.EncodeToString(hint[:])}}, &e})
}

// push writes a part, unless it is there.
func (s *signing) push(mediaType string, data []byte) (ocispec.Descriptor, error) {
	d := content.NewDescriptorFromBytes(mediaType, data)
	if err := s.store.Push(s.ctx, d, bytes.NewReader(data)); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return d, err
	}
	return d, nil
}

// sign makes a signature of a message. cosign expects SHA-256 for all kinds of keys, but for Ed25519, which hashes the message itself.
func (k *PrivateKey) sign(message []byte) ([]byte, error) {
	if _, ok := k.public.public.(ed25519.PublicKey); ok {
		return k.signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}
