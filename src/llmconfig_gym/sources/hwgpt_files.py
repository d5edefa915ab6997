"""SHA-256 of the files of the architecture table: ten of perplexities and eight of timings for each scale."""

from __future__ import annotations

_PERPLEXITY = {
    "s": (
        "413700daff9bf9c7af613aa59c1aad483ea2c2246fb4095715bf5ed6fd7cbdd0",
        "9a77830edc67d99cccfd4806dd4a874dfe341268fbe9278f01553150b7c26bf6",
        "9405c08bac1bd26b041bbbe049a5fd1ad34e72de713550657bcf610cb2b05314",
        "afc87eb40cddff64f49ea0c309eed7b64f7a4d6953c9bc6ff6dc239ce287a3bf",
        "3f513f7ef93e78cf5185b26d48769885ff7d60569e3adead2a1398e1b02d2c72",
        "3fa1462018875a9d9ef5d031a8b6a2f65a3d72078efd94d06e3bf00e76624c53",
        "1ab8621a34693fc0afb195a272641a99f2a78d6feaf3a91492647227cb98ef9e",
        "c49d2f5de990edfc22f6bc9954dad03dc3c3ff80e76cbbfea1745552c6416d9b",
        "06462a735f0607e590a196aafb3770581aefdcda9c501f2a31fd0693720992bb",
        "0ef547e86b9bef422f7fe3ee86123207d818fc811a17686a244ff91c2ec5b3e1",
    ),
    "m": (
        "e13880b47d6418a09df61bcb9a8d50f92db6c0b7c2e905540f1d1eef67290f16",
        "f46e2f00e53dbb40579635f8c10794825f4233634838a10851cc656daa6ce547",
        "72ab8bc7f4bd428bd863f9e94d2b27f36b0295d68b233010660e7cc53c6014ad",
        "0a1a84311fee4d7050daaea8958cae8b691034fe33a852138499aa78ab0c6677",
        "1b87a4f6b5a33ab30dca64c2c77ee73d35179ee63cfc46117fd1580d22ec8cd4",
        "3b0afdc2549a6140f6d79db72c75db86b7680c03672a57604f7fbf7e10066139",
        "5f174993a8107d89cec6ea5fadb12785c2fc919ab4f323e05960626d4b799552",
        "061043efcdc36c0edc719142c0455df52ba2e23b8618ab5aad26cd38823b355d",
        "459cee16de93fd4c9b66441fb791643ab2559703187f4365620749b5078902ac",
        "523eaee7bed687ab9c340869f968fb67ee6b4c30a5f4abf1591854bb39cd1a49",
    ),
    "l": (
        "fa5e19e8966ee1e491ab402ed3f130977a767a5c7d52f422db9237314fd1e3b7",
        "9ef2fd8f1dc5f94a806846b69262b2ea51fd5042dde06cf545cf02f3e6febc7c",
        "2134691e0609014d14f0d739d44998e513fbfb4fe22c7fdd56e0805706bbe7bb",
        "2f83920ef6753cda3997a8c43fca457293892d4d8be4b018d38aadf4c5c795ce",
        "165251f6b97ddfbff3133c67315e206b28e54e2041cfa546a933c3a33ed7b136",
        "3d83afdc239ee79d578738e6e67c58e9daa65097a6fc48610f3946ce2dc28ffc",
        "2716788e385df576c0dc3952db324a353b94c98b4395f8678135de1c56bb67d1",
        "604d9fa770aa8d2fa23e6c2bc99ce59f40f24f199ae489ce9e2bf0cee77303c3",
        "a02774c927fbd44498738d48c8b87d88227de560a43ee181dfa24f01d7b31b19",
        "baaa7dd86dedccf76199b589ce302fb69def83ee2fe767260418dc0746644149",
    ),
}

_LATENCY = {
    ("a100", "s"): (
        "7025408d2a25ce63da5f312a857e0892aec9d4f061f3309d1af34e89fee4f16f",
        "18fbfc640922c6cf16620aba71be3a5066310dfd2f4e96f3cf10f4170fcdc727",
        "9817d98f353784b07dc063200d5713a7f7b7823e1c9367ee239ad70091014392",
        "5f91fe83e4de0dd27c772c4c02807ed17fce5aa868fc0097572b3f7535e37540",
    ),
    ("a100", "m"): (
        "3ad210d523e3456450a8f0b7bb4d6c9d5dddfe5320f76a8b1211252c6d65ae99",
        "4cbc0109a269ba54c9c2fcaf5dea131a15db3743d4eb8384a7b0a9d44da1d157",
        "001e9c222fe0755702863ad5306aaccdc5ccdaba17ff3de8aa7fcbe9f0685f6c",
        "141e2d80f4cfe45a8b6ac1e0e347fea9b5274fd899aeae8393ff87ebed033020",
    ),
    ("a100", "l"): (
        "8108ad36f3e137a065198b8b6f47826355823eaeb2ec78b3da779c6eb5ba410d",
        "63166f7f5aae6a65d21b70f4f4141b7b40b31dc5e31fed0426ac4590fd9baced",
        "c5c7fbf9b41fe9e260e79f9129705e0082ff4db15c4308809f4ba47c5607149c",
        "d285047897ed908ed66b8aac025946b22001d73bf54b3357655caabccd8c76d5",
    ),
    ("rtx3080", "s"): (
        "da5e51ce58df12d9168c04ed1270a5c6bcad4f2e10c8730262c25cf5bd002d34",
        "0e1d3d9213948cb7c8b787147c89912ba69bb2102cf354f2778155d0c8ba127d",
        "20b0ebd41b2fb990e54141c6a3d20078be3eb1ac9ed98f7574c0b0625e5f59cc",
        "471403612ed61c744752f90b052aeb6776952ea291c6b252c1537b0353e803fd",
    ),
    ("rtx3080", "m"): (
        "b47e5f2a8577d894d11df6367ebd75e3260e2e2680c622de76254d98827b104a",
        "63b05ce19e7ff1a60eb566c33ee6f45b9d297bdeabf2e6466c96f57659cefbd4",
        "5d6271b86b982ae55d981e6fb8b1edc9b000baf1973adbf5f9962ed09185cb0e",
        "ad0afa9a323cc6f47c4910bf2786fb875ef7580695dcd330760928264e0c6321",
    ),
    ("rtx3080", "l"): (
        "5752d9dbc022a156ee9b6dfc94ffc43099aec0e22ea63c8946ab0971f9dd4ae3",
        "50ac6c96b1c9b8783f9a349be9d00966e184687c0ce0b177fe36aba3a8e338bd",
        "d636e08db1dd013b48b818eff7189d4acc1e874e399f1fcfd65278aa543e73fb",
        "3c6b82d1af92312988c3c36b10998fc1f73569a8b5d14dbf6d730ee1f1065104",
    ),
}


def perplexity_files(scale: str) -> dict[str, str]:
    """SHA-256 by path of one scale's perplexities (`s`, `m` or `l`)."""
    folder = f"arch_ppl_bench_{scale}/ppl_observations_tracker"
    return {f"{folder}_{1000 * i}_{1000 * (i + 1)}.pkl": sha for i, sha in enumerate(_PERPLEXITY[scale])}


def latency_files(device: str, scale: str) -> dict[str, str]:
    """SHA-256 by path of one device's timings (`a100` or `rtx3080`) at one scale."""
    suffix = "" if scale == "s" else f"_{scale}"
    folder = f"raw_results_hw/latency_{device}{suffix}/efficiency_observations"
    return {f"{folder}_{2500 * i}_{2500 * (i + 1)}.pkl": sha for i, sha in enumerate(_LATENCY[device, scale])}
