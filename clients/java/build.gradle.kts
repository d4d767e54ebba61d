// The stubs for Java, with Gradle: `gradle jar`.
plugins {
    `java-library`
    id("com.google.protobuf") version "0.9.5"
}

repositories { mavenCentral() }

dependencies {
    api("com.google.protobuf:protobuf-java:4.35.1")
    api("io.grpc:grpc-protobuf:1.83.1")
    api("io.grpc:grpc-stub:1.83.1")
    // google/api/*.proto, and the classes made of them.
    api("com.google.api.grpc:proto-google-common-protos:2.63.1")
}

// A clone of the repository, or the unpacked archive of the protos.
sourceSets { main { proto { srcDir("../../protos") } } }

protobuf {
    protoc { artifact = "com.google.protobuf:protoc:4.35.1" }
    plugins { create("grpc") { artifact = "io.grpc:protoc-gen-grpc-java:1.83.1" } }
    generateProtoTasks { all().configureEach { plugins { create("grpc") } } }
}
